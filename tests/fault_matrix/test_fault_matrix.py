"""Every misbehaviour at every isolation level, in a real host each: does `matrix.json` tell the truth?

The guarantees in README.md are generated from the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOSTS_AT_ONCE = 2
FROZEN = 20.0
"""Seconds after which a host that was promised to stand still is taken to do so."""
PATIENCE = 120.0

Case = dict[str, Any]


def cases() -> Iterator[Case]:
    for row in json.loads((HERE / "matrix.json").read_text())["rows"]:
        common = {key: row[key] for key in row.keys() - {"levels", "kinds"}}
        for levels, promise in row["levels"].items():
            for level in levels.split(", "):
                for kind in promise.get("kinds", row["kinds"]):
                    own = promise | promise.get(kind, {})
                    yield common | {"kind": kind, "isolation": level, "promise": own, **own.get("given", {})}


def title(case: Case) -> str:
    return "-".join((case["id"], case["isolation"], case["kind"]))


CASES = list(cases()) if sys.platform == "linux" else []
pytestmark = pytest.mark.skipif(not CASES, reason="worker processes are Linux only")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The misbehaving native plugin, compiled."""
    out = tmp_path_factory.mktemp("native") / "libbad.so"
    flags = ["-O1", "-w", "-shared", "-fPIC", "-D_GNU_SOURCE", "-pthread", f"-I{ROOT / 'include'}"]
    source = ROOT / "worker/tests/common/bad.c"
    subprocess.run([os.environ.get("CC", "cc"), *flags, str(source), "-o", str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Something to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def hosts(
    request: pytest.FixtureRequest, native: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Case]]]:
    """All hosts that this run asks for, a few at a time; each test waits for its own."""
    wanted = [item.callspec.params["case"] for item in request.session.items if item.path == Path(__file__)]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        yield {title(case): pool.submit(run, case, native, port, tmp_path_factory.mktemp("host")) for case in wanted}
        pool.shutdown(cancel_futures=True)


def run(case: Case, native: Path, port: int, folder: Path) -> Case:
    """One host: how it ended, and what it wrote down."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    names = {"$OUTSIDE": str(outside / "new"), "$SECRET": str(outside / "file"), "$PORT": port}
    args = {
        key: names.get(value, value) if isinstance(value, str) else value for key, value in case.get("args", {}).items()
    }
    row = {key: case[key] for key in case.keys() - {"promise"}} | {"args": args}
    row["entrypoint"] = f"{HERE / 'bad.py'}:Plugin" if case["kind"] == "python" else str(native)
    (folder / "row.json").write_text(json.dumps(row))
    report = folder / "report.json"
    output = folder / "output"
    command = [sys.executable, str(HERE / "host.py"), str(folder / "row.json"), str(report)]
    environment = os.environ | {"MATRIX_SECRET": "a secret", "TMPDIR": str(folder)}
    with output.open("wb") as to:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=to, stderr=to, env=environment, start_new_session=True
        )
        try:
            patience = FROZEN if case["promise"].get("ends") == "freezes" else PATIENCE
            code: int | None = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
    said = json.loads(report.read_text()) if report.exists() else {}
    text = output.read_text(errors="replace")
    return said | {"code": code, "output": text[-4000:], "written": output.stat().st_size, "outside": outside}


def end(process: subprocess.Popen[bytes]) -> None:
    """The host and whatever a plugin without a process of its own has left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("case", CASES, ids=title)
def test_the_promise_is_kept(case: Case, hosts: dict[str, Future[Case]]) -> None:
    seen = hosts[title(case)].result()
    promise = case["promise"]
    assert how_it_ended(seen) == promise.get("ends", "answers"), seen
    if "ends" in promise and promise["ends"] != "waits":
        return
    assert seen["state"] == promise["state"], seen
    assert seen["siblings"], seen
    harms = seen["harms"] + (["output"] if seen["written"] else [])
    assert harms == promise.get("harms", []), seen
    if "answer" in seen:
        answer = seen["answer"]
        expected = {key: promise[key] for key in ("code", "type", "effect") if key in promise}
        assert {key: answer[key] for key in expected} == expected, seen
        assert answer["ok"] == promise.get("ok", False), seen
        assert promise.get("word", "") in answer["error"], seen
        assert answer["error_length"] < 1 << 20, seen
    if "again" in seen:
        assert seen["again"], seen


def how_it_ended(seen: Case) -> str:
    """`answers`, `waits` (the caller only), `freezes` (the whole host), `exit 3`, `SIGSEGV`."""
    code = seen["code"]
    if code is None:
        return "freezes"
    if code < 0:
        return signal.Signals(-code).name
    if "siblings" not in seen:
        return f"exit {code}"
    return "answers" if "answer" in seen else "waits"
