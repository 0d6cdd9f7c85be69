"""The worker process of Python plugins, started by a runtime; of no use by hand.

Its standard input is the memory that it shares with its host; as a fork-server, the socket to it.
"""

from __future__ import annotations

import faulthandler
import os
import sys


def main(arguments: list[str]) -> None:
    """Serve the host until it says stop, then end without waiting for the plugin's threads."""
    faulthandler.enable()
    known = set(sys.path)
    for folder in os.environ.pop("PLUGWARD_PATH", "").split(os.pathsep):
        if folder and folder not in known:
            sys.path.append(folder)
    from plugward import _native

    if arguments[:1] == ["fork"]:
        from plugward import forkserver

        forkserver.main([name for name in arguments[1].split(",") if name])
    status = _native.serve_worker("native" in arguments[:1])
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
