"""`plugward audit`: it finds what is not as it should be, says what to type next, and ends with 1."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.testing

from plugward.cli import app

GOOD = """
class Plugin:
    def __init__(self):
        self.tools = {"double": {"handler": lambda n: 2 * n, "description": ""}}
"""
HEALTHY = {"name": "a", "state": "INITIALIZED", "reason": None}


def audit(*arguments: str) -> tuple[int, str]:
    ended = typer.testing.CliRunner().invoke(app, ["audit", *arguments])
    assert ended.exit_code in (0, 1, 2), ended.exception
    return ended.exit_code, ended.output


def issues(*arguments: str) -> list[dict[str, Any]]:
    code, output = audit("--json", *arguments)
    report = json.loads(output)
    assert code == (1 if report["issues"] else 0)
    assert report["ok"] is not bool(report["issues"])
    assert all(issue["next"] for issue in report["issues"]), "an issue without the command to type next"
    return report["issues"]  # type: ignore[no-any-return]


def plugin(folder: Path, name: str, code: str = GOOD, **needs: Any) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    manifest = {"name": name, "kind": "python", "entrypoint": "plugin.py:Plugin", "isolation": "inline", **needs}
    (place / "manifest.json").write_text(json.dumps(manifest))
    (place / "plugin.py").write_text(code)
    return place / "manifest.json"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a folder that has no `plugins` of its own


@pytest.fixture
def serve() -> Iterator[Callable[[Any, dict[str, Any]], str]]:
    """A health API that answers just what a test wants; an int is a status."""
    servers = []

    def start(listing: Any, health: dict[str, Any]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = unquote(self.path.split("/")[3]) if self.path.endswith("/health") else None
                body = listing if name is None else health.get(name, 404)
                status = body if isinstance(body, int) else 200
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_all_is_well(tmp_path: Path) -> None:
    plugin(tmp_path, "a")
    assert issues("--plugins", str(tmp_path)) == []
    code, output = audit("--plugins", str(tmp_path))
    assert (code, "no issues" in output) == (0, True)


def test_each_trouble_of_a_folder(tmp_path: Path) -> None:
    plugin(tmp_path, "good")
    plugin(tmp_path, "needy", dependencies=["no-such-distribution>=2"])
    plugin(tmp_path, "broken", "raise RuntimeError('typo')")
    (plugin(tmp_path, "odd")).write_text('{"name": "odd", "kinds": "python"}')
    found = {(issue["plugin"], issue["kind"]): issue for issue in issues("--plugins", str(tmp_path))}
    assert set(found) == {
        ("needy", "unavailable"),
        ("needy", "dependency"),
        ("broken", "failed"),
        ("odd", "failed"),
        ("odd", "manifest"),
    }
    assert found["needy", "dependency"]["next"] == 'pip install "no-such-distribution>=2"'
    assert "typo" in found["broken", "failed"]["message"]
    assert found["odd", "manifest"]["next"].startswith("plugward check ")


def test_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "audit_sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: audit-sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[audit.sample]\nwell = audit_sample:Plugin\nill = audit_sample_gone:Plugin\n"
    )
    (tmp_path / "audit_sample.py").write_text(GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    (issue,) = issues("--group", "audit.sample")
    assert (issue["plugin"], issue["kind"]) == ("ill", "failed")


def test_a_healthy_server(serve: Callable[..., str]) -> None:
    assert issues("--url", serve([HEALTHY], {"a": HEALTHY}), "--group", "none") == []
    wrapped = {"plugins": [HEALTHY], "total": 1}
    assert issues("--url", serve(wrapped, {"a": {**HEALTHY, "state": "RUNNING"}}), "--group", "none") == []


@pytest.mark.parametrize(
    ("listing", "health", "kind", "words"),
    [
        ([HEALTHY], {}, "drift", "knows no plugin"),
        ([HEALTHY], {"a": {**HEALTHY, "state": "FAILED"}}, "drift", "INITIALIZED in the list and FAILED"),
        ([{**HEALTHY, "state": "SLEEPING"}], {"a": HEALTHY}, "state", "none of the five"),
        ([{**HEALTHY, "state": "LOADED"}], {"a": {**HEALTHY, "state": "LOADED"}}, "state", "still LOADED"),
        ([{**HEALTHY, "state": "FAILED"}], {"a": {**HEALTHY, "state": "FAILED"}}, "state", "without a reason"),
        (
            [{**HEALTHY, "state": "UNAVAILABLE", "reason": "no GPU"}],
            {"a": {**HEALTHY, "state": "UNAVAILABLE"}},
            "unavailable",
            "no GPU",
        ),
        ([HEALTHY, HEALTHY], {"a": HEALTHY}, "drift", "listed 2 times"),
        ([HEALTHY], {"a": 500}, "server", "500"),
        (500, {}, "server", "500"),
        ({"detail": "?"}, {}, "server", "no list of plugins"),
        ("text", {}, "server", "no list of plugins"),
        ([HEALTHY], {"a": "text"}, "server", "no health"),
    ],
)
def test_each_trouble_of_a_server(
    serve: Callable[..., str], listing: Any, health: dict[str, Any], kind: str, words: str
) -> None:
    url = serve(listing, health)
    (issue,) = issues("--url", url, "--group", "none")
    assert issue["kind"] == kind
    assert words in issue["message"]
    assert url in issue["next"]


def test_invisible_and_unexpected(serve: Callable[..., str], tmp_path: Path) -> None:
    plugin(tmp_path, "forgotten")
    found = issues("--url", serve([HEALTHY], {"a": HEALTHY}), "--plugins", str(tmp_path), "--group", "none")
    assert [(issue["plugin"], issue["kind"]) for issue in found] == [("forgotten", "invisible"), ("a", "unexpected")]
    assert "plugward check" in found[0]["next"]


def test_nobody_there() -> None:
    (issue,) = issues("--url", "http://127.0.0.1:9", "--group", "none")
    assert issue["kind"] == "server"
    assert issue["next"].startswith("curl -i http://127.0.0.1:9/")
    assert audit("--url", "ftp://host")[0] == 2


def test_lines_for_people(serve: Callable[..., str]) -> None:
    code, output = audit("--url", serve([HEALTHY], {}), "--group", "none")
    assert code == 1
    line = next(line for line in output.splitlines() if "drift" in line)
    assert "; next: curl -i " in line
    assert "1 issues" in output
