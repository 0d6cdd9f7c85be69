"""The example server as a child process, a small HTTP client, and a pulse that keeps asking whether it answers."""

from __future__ import annotations

import http.client
import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

APP = Path(__file__).resolve().parent / "app.py"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
REPLY_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """An HTTP answer: its status, its text, and how long it took."""

    status: int
    text: str
    elapsed_ms: float

    @property
    def json(self) -> Any:
        """The body, decoded; `None` where it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Server:
    """The example host as its users start it: in its own process, on a free loopback port."""

    def __init__(self, app: Path = APP) -> None:
        """Start the server and wait until it has said where it listens."""
        self.output: deque[str] = deque(maxlen=200)
        self.status: int | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(app), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self._wait_for_address()
        self._wait_until_served()

    def __enter__(self) -> Server:
        """Give the running server."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        """Stop it, whatever happened."""
        self.stop()

    def stop(self) -> int:
        """Ask the server to end, as a service manager would. Gives its exit status; -9 if it had to be killed."""
        if self.status is None:
            self._process.terminate()
            try:
                self.status = self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.status = self._process.wait()
        return self.status

    def request(self, method: str, path: str, body: object = None) -> Reply:
        """Send one request over its own connection."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=REPLY_SECONDS)
        content = None if body is None else json.dumps(body)
        begun = time.perf_counter()
        try:
            connection.request(method, path, content, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return Reply(answer.status, text, (time.perf_counter() - begun) * 1e3)

    def get(self, path: str) -> Reply:
        """`GET path`."""
        return self.request("GET", path)

    def run(self, plugin: str, tool: str, args: dict[str, Any] | None = None) -> Reply:
        """Run one tool of one plugin."""
        return self.request("POST", f"/v1/plugins/{plugin}/tools/{tool}/run", {"args": args or {}})

    def restart(self, plugin: str) -> Reply:
        """Begin the plugin's next generation."""
        return self.request("POST", f"/v1/plugins/{plugin}/restart")

    def health(self) -> dict[str, dict[str, Any]]:
        """The health of every plugin, by name."""
        return {plugin["name"]: plugin for plugin in self.get("/v1/plugins").json}

    def says(self, words: str) -> bool:
        """Whether a line of its output holds these words, now or within a few seconds."""
        until = time.monotonic() + REPLY_SECONDS
        while time.monotonic() < until:
            if any(words in line for line in list(self.output)):
                return True
            time.sleep(0.02)
        return False

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line.rstrip())
            self._lines.put(line)
        self._lines.put(None)

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                self.stop()
                raise RuntimeError("the server did not start:\n" + "\n".join(self.output))
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()

    def _wait_until_served(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/livez")
                return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError("the server did not answer:\n" + "\n".join(self.output)) from error
                time.sleep(0.05)


@dataclass
class Pulse:
    """Asks `/livez` and `/v1/plugins` again and again from another thread, while something else goes on."""

    server: Server
    took_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Pulse:
        """Begin to ask."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        """End the asking; what was asked is answered first."""
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        paths = ("/livez", "/v1/plugins")
        while not self._ended.wait(0.01):
            path = paths[len(self.took_ms) % 2]
            try:
                reply = self.server.get(path)
            except OSError as error:
                self.failures.append(f"{path}: {error}")
                continue
            self.took_ms.append(reply.elapsed_ms)
            if reply.status != 200:
                self.failures.append(f"{path}: {reply.status}")
