"""Starts the example server and sends real HTTP requests to good and bad plugins.

python -m examples.fastapi_host.demo

Prints every answer and the health table before and after. The exit status is 0 only if everything was as promised.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.fastapi_host.client import Pulse, Reply, Server
from examples.fastapi_host.report import Report

FRAMES = Path(__file__).resolve().parent.parent / "plugins" / "motion" / "frames"
HANG_MS = 500  # the deadline in the manifest of `hanger`
LOADED_STATES = {
    "motion": {"INITIALIZED"},
    "raiser": {"INITIALIZED"},
    "exiter": {"INITIALIZED"},
    "hanger": {"INITIALIZED"},
    "segfaulter": {"INITIALIZED"},
    "broken_import": {"FAILED"},
    "needs_gpu": {"UNAVAILABLE", "INITIALIZED"},  # this machine may have a GPU
}


class Demo:
    """One pass over all plugins."""

    def __init__(self, server: Server, report: Report) -> None:
        """Talk to `server`, tell `report`."""
        self.server = server
        self.report = report

    def run(self) -> None:
        """Do every part in order. A part that stumbles over an answer is a broken promise; the others still run."""
        parts: list[Callable[[], None]] = [
            self.show_start,
            self.show_motion,
            self.show_bad_input,
            self.show_raiser,
            self.show_exiter,
            self.show_segfaulter,
            lambda: self.show_hanger("sleep"),
            lambda: self.show_hanger("spin"),
            self.show_broken_import,
            self.show_gpu,
            self.show_strangers,
            self.show_end,
        ]
        for part in parts:
            try:
                part()
            except Exception as error:  # noqa: BLE001 (whatever it was, it is shown and counts)
                self.report.promise("this part could be finished", kept=False, seen=error)

    def call(self, plugin: str, tool: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a tool and print the answer, which must be an outcome with status 200 whatever the plugin did."""
        reply = self.server.run(plugin, tool, args)
        self.report.answer(f"POST {plugin}/{tool}", reply.json or reply.text, reply.elapsed_ms)
        outcome: dict[str, Any] = reply.json if isinstance(reply.json, dict) else {}
        self.report.promise("the answer is an outcome", reply.status == 200 and "ok" in outcome, reply)
        return outcome

    def expect_error(self, outcome: dict[str, Any], *codes: str) -> None:
        """The outcome is an error of one of these codes, and says what happened, why, and what to do."""
        code = str(outcome.get("code"))
        expected = outcome.get("ok") is False and code.startswith(codes)
        self.report.promise(f"it is the error {' or '.join(codes)}", expected, outcome)
        told = all(outcome.get(key) for key in ("error", "error_type", "cause", "remedy"))
        self.report.promise("it tells what happened, why, and what to do", told, outcome)

    def expect_state(self, plugin: str, *states: str, generation: int | None = None) -> dict[str, Any]:
        """The plugin's own health page shows one of these states."""
        reply = self.server.get(f"/v1/plugins/{plugin}/health")
        health: dict[str, Any] = reply.json if isinstance(reply.json, dict) else {}
        self.report.promise(f"{plugin} is {' or '.join(states)}", health.get("state") in states, reply)
        if generation is not None:
            self.report.promise(f"it is generation {generation}", health.get("generation") == generation, reply)
        return health

    def restart(self, plugin: str, generation: int) -> None:
        """A failed plugin's next life begins by hand."""
        reply = self.server.restart(plugin)
        self.report.answer(f"POST {plugin}/restart", reply.json or reply.text, reply.elapsed_ms)
        self.expect_state(plugin, "INITIALIZED", generation=generation)

    def show_start(self) -> None:
        """Every plugin is listed, also the ones that could not be loaded."""
        self.report.title("after loading")
        health = self.server.health()
        self.report.health(health)
        self.report.promise("all seven plugins are listed", set(health) == set(LOADED_STATES), sorted(health))
        for name, states in LOADED_STATES.items():
            state = health.get(name, {}).get("state")
            self.report.promise(f"{name} is {' or '.join(sorted(states))}", state in states, state)
        reason = str(health.get("broken_import", {}).get("reason"))
        self.report.promise("broken_import names the module", "does_not_exist" in reason, reason)

    def show_motion(self) -> None:
        """The good plugin finds the two objects on files and on bytes."""
        self.report.title("motion: real frames from disk")
        files = [{"path": f"frames/frame_{n}.png"} for n in range(5)]
        outcome = self.call("motion", "detect_motion", {"frames": files})
        self.expect_objects(outcome)
        self.report.title("motion: the same frames as base64 in the request")
        data = [{"base64": base64.b64encode((FRAMES / f"frame_{n}.png").read_bytes()).decode()} for n in range(5)]
        again = self.call("motion", "detect_motion", {"frames": data})
        same = again.get("ok") and again.get("result") == outcome.get("result")
        self.report.promise("the same boxes as from the files", same, again)
        self.report.title("motion: the colours of a JPEG")
        outcome = self.call("motion", "dominant_colours", {"image": {"path": "frames/frame_0.jpg"}, "count": 3})
        found = (outcome.get("result") or {}).get("colours", [])
        self.report.promise("three colours, most frequent first", is_descending(found, 3), found)

    def expect_objects(self, outcome: dict[str, Any]) -> None:
        """The red disc moves right and the blue box moves left, on every frame."""
        frames = (outcome.get("result") or {}).get("frames", [])
        red = [where(frame, "red") for frame in frames]
        blue = [where(frame, "blue") for frame in frames]
        self.report.line(f"red is at x = {red}, blue at x = {blue}")
        self.report.promise("the red disc moves right", is_rising(red, 5), red)
        self.report.promise("the blue box moves left", is_rising(blue[::-1], 5), blue)

    def show_bad_input(self) -> None:
        """A bad request is the caller's fault: the plugin goes on."""
        self.report.title("motion: requests that it must refuse")
        self.expect_error(self.call("motion", "detect_motion", {"frames": "none"}), "PW-CALL-002")
        noise = {"image": {"base64": base64.b64encode(b"no picture").decode()}}
        self.expect_error(self.call("motion", "dominant_colours", noise), "PW-CALL-003")
        self.expect_state("motion", "INITIALIZED", generation=1)

    def show_raiser(self) -> None:
        """An exception fails the plugin; it is not entered again before its restart."""
        self.report.title("raiser: an exception")
        good = self.call("raiser", "root", {"number": 9})
        self.report.promise("it works before it fails", good.get("result") == {"root": 3.0}, good)
        outcome = self.call("raiser", "root", {"number": -1})
        self.expect_error(outcome, "PW-CALL-001")
        self.report.promise("the type is the plugin's own", outcome.get("error_type") == "ValueError", outcome)
        self.expect_state("raiser", "FAILED")
        refused = self.call("raiser", "root", {"number": 9})
        self.expect_error(refused, "PW-CALL-006")
        self.report.promise("it was not entered", refused.get("effect") == "not_started", refused)
        self.restart("raiser", 2)
        again = self.call("raiser", "root", {"number": 9})
        self.report.promise("it works again", again.get("ok") is True, again)

    def show_exiter(self) -> None:
        """`sys.exit` ends the call and nothing else."""
        self.report.title("exiter: sys.exit")
        self.expect_error(self.call("exiter", "leave"), "PW-CALL-011", "PW-CALL-001")
        self.expect_state("exiter", "FAILED")
        self.report.promise("the server is alive", self.server.get("/livez").status == 200)

    def show_segfaulter(self) -> None:
        """A crash in native code ends the plugin's own process; a new one takes over without being asked."""
        self.report.title("segfaulter: SIGSEGV in native code")
        before = self.call("segfaulter", "pid")
        outcome = self.call("segfaulter", "crash")
        self.expect_error(outcome, "PW-WORKER-004")
        self.report.promise("the error names the signal", "SIGSEGV" in str(outcome.get("error")), outcome)
        self.report.promise(
            "and the server's log the line of Python", self.server.says("segfaulter/plugin.py"), outcome
        )
        self.report.promise("the server is alive", self.server.get("/livez").status == 200)
        after = self.call_until_ok("segfaulter", "pid")
        pids = [(reply.get("result") or {}).get("pid") for reply in (before, after)]
        self.report.promise("a new process serves, unasked", None not in pids and pids[0] != pids[1], pids)
        self.expect_state("segfaulter", "INITIALIZED", generation=2)
        self.expect_state("motion", "INITIALIZED", generation=1)

    def call_until_ok(self, plugin: str, tool: str) -> dict[str, Any]:
        """Run a tool again and again while its plugin comes back, ten seconds at most."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            answer = self.server.run(plugin, tool).json
            if isinstance(answer, dict) and answer.get("ok"):
                return answer
            time.sleep(0.05)
        return {}

    def show_hanger(self, tool: str) -> None:
        """The caller is back at the deadline, and the server answers others all the while."""
        self.report.title(f"hanger: {tool} for ever, deadline {HANG_MS} ms")
        with Pulse(self.server) as pulse:
            outcome = self.call("hanger", tool)
        self.expect_error(outcome, "PW-CALL-005")
        elapsed = float(outcome.get("elapsed_ms") or 0.0)
        self.report.promise("it was cut at its deadline", HANG_MS * 0.9 <= elapsed <= HANG_MS * 60, elapsed)
        slowest = max(pulse.took_ms, default=0.0)
        self.report.line(
            f"meanwhile {len(pulse.took_ms)} other requests were answered, the slowest in {slowest:.1f} ms"
        )
        self.report.promise("others were answered during the hang", pulse.took_ms, pulse.took_ms)
        self.report.promise("none of them failed", not pulse.failures, pulse.failures)
        health = self.expect_state("hanger", "FAILED")
        if tool == "sleep":  # a thread that computes may have been stopped; one that sleeps cannot be
            self.report.promise("the abandoned thread is shown", health.get("abandoned_threads"), health)
        generation = int(outcome.get("generation") or 0)
        self.restart("hanger", generation + 1)

    def show_broken_import(self) -> None:
        """A plugin that could not be imported is listed, and never run."""
        self.report.title("broken_import: its module is missing")
        outcome = self.call("broken_import", "run")
        self.expect_error(outcome, "PW-CALL-006", "PW-LOAD", "PW-REG-002")
        self.report.promise("it was not entered", outcome.get("effect") == "not_started", outcome)

    def show_gpu(self) -> None:
        """Without a GPU the plugin is unavailable, with the cause; with one it answers."""
        self.report.title("needs_gpu")
        health = self.expect_state("needs_gpu", "UNAVAILABLE", "INITIALIZED")
        outcome = self.call("needs_gpu", "list_gpus")
        if health.get("state") == "INITIALIZED":
            self.report.promise("it answers, for there is a GPU", outcome.get("ok") is True, outcome)
            return
        self.expect_error(outcome, "PW-CALL-007", "PW-GPU", "PW-REG-002")
        self.report.promise("the reason says GPU", "GPU" in str(health.get("reason")), health)
        self.report.promise("it was not entered", outcome.get("effect") == "not_started", outcome)

    def show_strangers(self) -> None:
        """Names that nobody knows are answers, too."""
        self.report.title("names that do not exist")
        self.expect_error(self.call("nobody", "nothing"), "PW-REG-001")
        self.expect_error(self.call("motion", "nothing"), "PW-REG-002")
        self.expect_status("/v1/plugins/nobody/health", 404)

    def show_end(self) -> None:
        """After all of that the good plugin still works, and every page of the server answers."""
        self.report.title("at the end")
        self.report.health(self.server.health())
        good = self.call("motion", "dominant_colours", {"image": {"path": "frames/frame_1.png"}})
        self.report.promise("motion still works", good.get("ok") is True, good)
        self.expect_state("motion", "INITIALIZED", generation=1)
        self.expect_status("/livez", 200)
        self.expect_status("/readyz", 200, 503)
        metrics = self.expect_status("/metrics", 200)
        self.report.promise("the metrics are Plugward's", "plugward" in metrics.text, metrics.text[:200])
        page = self.expect_status("/", 200)
        self.report.promise("the health page shows the plugins", "broken_import" in page.text, page.text[:200])

    def expect_status(self, path: str, *statuses: int) -> Reply:
        """The path answers with one of these HTTP statuses."""
        reply = self.server.get(path)
        text = f"GET {path} is {' or '.join(map(str, statuses))}"
        self.report.promise(f"{text} ({reply.status})", reply.status in statuses, reply)
        return reply


def where(frame: dict[str, Any], colour: str) -> int | None:
    """The left edge of the region that is mostly red or mostly blue."""
    for region in frame["regions"]:
        red, blue = int(region["colour"][1:3], 16), int(region["colour"][5:7], 16)
        if (red > blue) == (colour == "red"):
            return int(region["box"][0])
    return None


def is_rising(numbers: list[int | None], count: int) -> bool:
    """Whether there are `count` numbers, each larger than the one before."""
    known = [number for number in numbers if number is not None]
    return len(known) == len(numbers) == count and known == sorted(set(known))


def is_descending(found: list[dict[str, Any]], count: int) -> bool:
    """Whether there are `count` colours, none more frequent than the one before."""
    shares = [colour["share"] for colour in found]
    return len(shares) == count and shares == sorted(shares, reverse=True)


def main() -> int:
    """Run the demo against a server of its own."""
    report = Report()
    with Server() as server:
        report.title(f"the server listens on {server.address}")
        Demo(server, report).run()
        status = server.stop()
        report.title("shutdown")
        report.promise("the server ended when asked, although calls still hang in it", status in (0, -15), status)
    if report.broken:
        print("\n".join(["", "the server's last lines:", *server.output]))
    return report.verdict()


if __name__ == "__main__":
    sys.exit(main())
