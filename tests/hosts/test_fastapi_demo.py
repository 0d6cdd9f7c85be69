"""The main job, as `make run` does it: the demo keeps every one of its promises, and notices a host that keeps none."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BROKEN_HOST = '''
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    """Says nothing but `[]`."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    do_POST = do_GET

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
'''


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demo_keeps_every_promise() -> None:
    ended = run("import sys; from examples.fastapi_host.demo import main; sys.exit(main())")
    assert ended.returncode == 0, ended.stdout
    assert " promises kept, 0 broken" in ended.stdout


@pytest.mark.timeout(180)
def test_the_demo_fails_on_a_host_that_lies(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(BROKEN_HOST)
    ended = run(
        f"""
import sys
from pathlib import Path
from examples.fastapi_host import client, demo
from examples.fastapi_host.report import Report
client.REPLY_SECONDS = 3.0  # nothing that is waited for will come
with client.Server(Path({str(app)!r})) as server:
    report = Report()
    demo.Demo(server, report).run()
    sys.exit(report.verdict())
"""
    )
    assert ended.returncode == 1, ended.stdout
    assert "broken: all seven plugins are listed" in ended.stdout
    assert "broken: it is the error PW-CALL-001" in ended.stdout


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("raise SystemExit('no plugins today')")
    ended = run(
        f"from pathlib import Path; from examples.fastapi_host.client import Server; Server(Path({str(app)!r}))"
    )
    assert ended.returncode != 0
    assert "no plugins today" in ended.stdout
