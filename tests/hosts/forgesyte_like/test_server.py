"""The host as it runs: plugins installed by pip, a server in its own process, real HTTP, a real database."""

import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

HERE = Path(__file__).resolve().parent
ENTRY_POINTS = """[forgesyte.plugins]
vision = sample_plugins.vision:Plugin
raises = sample_plugins.bad:Raises
exits = sample_plugins.bad:Exits
exits_at_once = sample_plugins.bad:ExitsInConstructor
refuses = sample_plugins.bad:Refuses
hangs = sample_plugins.bad:Hangs
broken = sample_plugins.broken:Plugin
"""
METADATA = "Metadata-Version: 2.1\nName: sample-plugins\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
PICTURE = base64.b64encode(b"not really a picture").decode()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def wheel(folder: Path) -> Path:
    """The plugins as their author would publish them."""
    files = {f"sample_plugins/{f.name}": f.read_text() for f in (HERE / "plugins" / "sample_plugins").glob("*.py")}
    info = "sample_plugins-1.0.dist-info"
    files |= {f"{info}/METADATA": METADATA, f"{info}/WHEEL": WHEEL, f"{info}/entry_points.txt": ENTRY_POINTS}
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / "sample_plugins-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


class Server:
    """The host in its own process."""

    def __init__(self, folder: Path) -> None:
        site = folder / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
        subprocess.run([*pip, str(wheel(folder))], check=True)
        path = os.pathsep.join([str(site), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.log = folder / "server.log"
        self.database = folder / "jobs.sqlite"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.main", str(self.database)],
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), self.log.read_text()
        self.address = line.removeprefix("listening on ").strip()
        self.wait_until_served()

    def wait_until_served(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("/audit")
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=120)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        return self.ask("GET", path)

    def run(self, plugin: str, tool: str, **args: Any) -> tuple[int, Any]:
        return self.ask("POST", f"/v1/plugins/{plugin}/tools/{tool}/run", {"args": args})

    def states(self) -> dict[str, str]:
        return {plugin["name"]: plugin["state"] for plugin in self.get("/v1/plugins")[1]}

    def job(self, plugin: str, tool: str, **args: Any) -> str:
        return self.ask("POST", f"/v1/jobs/{plugin}/{tool}", {"args": args})[1]["job"]

    def wait(self, job: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while (found := self.get(f"/v1/jobs/{job}")[1])["state"] not in ("done", "failed"):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def stop(self) -> int:
        self.process.terminate()
        if self.process.stdout is not None:
            self.process.stdout.close()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("host"))
    yield served
    status = served.stop()
    log = served.log.read_text()
    assert status in (0, -15), log
    assert "Fatal Python error" not in log


def test_what_cannot_be_loaded_is_listed_and_the_server_runs(server: Server) -> None:
    states = server.states()
    assert {name: states[name] for name in ("broken", "exits_at_once", "refuses", "vision", "hangs")} == {
        "broken": "FAILED",
        "exits_at_once": "FAILED",
        "refuses": "FAILED",
        "vision": "INITIALIZED",
        "hangs": "INITIALIZED",
    }
    status, broken = server.get("/v1/plugins/broken/health")
    assert status == 200
    assert "a_package_that_nobody_has" in broken["reason"]
    assert server.get("/v1/plugins/nobody/health")[0] == 404
    listed = server.get("/v1/plugins/")[1]
    assert (listed["total"], listed["failed"] >= 3) == (7, True)
    audit = server.get("/audit")[1]
    assert audit["ok"] is True, audit
    status, vision = server.get("/v1/plugins/vision/health")
    assert (vision["version"], vision["description"]) == ("2.1.0", "detects")


def test_the_run_endpoint(server: Server) -> None:
    digest = hashlib.sha256(base64.b64decode(PICTURE)).hexdigest()
    assert server.run("vision", "digest", image=PICTURE) == (200, {"result": digest})
    status, found = server.run("vision", "detect", image=PICTURE, device="cuda")
    assert (status, found["result"]["class_name"]) == (200, "cuda")
    assert server.run("vision", "fetch")[1] == {"result": {"from": "a coroutine"}}


def test_the_right_status_for_each_mistake(server: Server) -> None:
    assert server.run("nobody", "digest")[0] == 400
    assert server.run("vision", "no_such_tool")[0] == 400
    assert server.run("vision", "digest")[0] == 400
    assert server.run("vision", "digest", image=17)[0] == 400
    assert server.run("vision", "digest", image=PICTURE, bogus=1)[0] == 400
    assert server.states()["vision"] == "INITIALIZED"


def test_the_other_two_seams(server: Server) -> None:
    body = {"args": {"plugin_name": "vision", "image": PICTURE}}
    assert server.ask("POST", "/pipeline/detect", body)[1]["confidence"] == 0.9
    assert server.ask("POST", "/pipeline/score", {"args": {"plugin_name": "vision"}}) == (200, {"result": 0.5})
    status, answer = server.ask("POST", "/new/vision/score", {"args": {}})
    assert (status, answer["ok"], answer["result"]) == (200, True, 0.5)
    status, answer = server.ask("POST", "/new/vision/no_such_tool", {"args": {}})
    assert (status, answer["ok"], answer["error_type"]) == (200, False, "UnknownTool")


@pytest.mark.parametrize(("plugin", "words"), [("raises", "weights"), ("exits", "exit")])
def test_a_plugin_that_fails_is_not_executed_again(server: Server, plugin: str, words: str) -> None:
    status, answer = server.run(plugin, "run")
    assert status == 502
    assert words in answer["detail"]
    assert server.states()[plugin] == "FAILED"
    status, answer = server.run(plugin, "run")
    assert status == 502
    assert "not called" in answer["detail"]
    assert server.states()["vision"] in ("INITIALIZED", "RUNNING")


def test_health_answers_while_tools_block(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "go"
    args = {"file": str(file)}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        held = [pool.submit(server.run, "vision", "hold", **args) for _ in range(2)]
        held.append(pool.submit(server.ask, "POST", "/new/vision/hold", {"args": args}))
        held.append(pool.submit(server.ask, "POST", "/pipeline/hold", {"args": {"plugin_name": "vision", **args}}))
        try:
            deadline = time.monotonic() + 60
            while server.states()["vision"] != "RUNNING":
                assert time.monotonic() < deadline, "no tool was called"
            for _ in range(10):
                assert server.get("/v1/plugins")[0] == 200
            assert not any(future.done() for future in held)
        finally:
            file.touch()
        assert all(future.result()[0] == 200 for future in held)
    assert server.states()["vision"] == "INITIALIZED"


def test_video_jobs_report_into_the_database(server: Server) -> None:
    jobs = [server.job("vision", "video", frames=40), server.job("vision", "video", frames=5)]
    for job, frames in zip(jobs, (40, 5), strict=True):
        found = server.wait(job)
        assert (found["state"], found["current"], found["total"]) == ("done", frames, frames)
        assert found["result"]["total_frames"] == frames
        assert found["result"]["thread"] == "job-worker"
    failed = server.wait(server.job("vision", "no_such_tool"))
    assert (failed["state"], failed["error_type"]) == ("failed", "ValueError")


def test_a_hang_ends_at_its_deadline_and_stays_in_its_plugin(server: Server) -> None:
    begun = time.monotonic()
    status, answer = server.run("hangs", "run")
    assert time.monotonic() - begun < 60
    assert status == 504, answer
    assert server.states()["hangs"] == "FAILED"
    assert server.run("vision", "fetch")[0] == 200


def test_many_clients_at_once(server: Server) -> None:
    def client(n: int) -> list[int]:
        statuses = []
        for _ in range(20):
            statuses.append(server.run("vision", "digest", image=PICTURE)[0])
            statuses.append(server.get("/v1/plugins")[0])
            statuses.append(server.get("/v1/plugins/vision/health")[0])
        return statuses

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = [status for statuses in pool.map(client, range(8)) for status in statuses]
    assert set(found) == {200}
    assert server.get("/v1/plugins/vision/health")[1]["error_count"] == 0
