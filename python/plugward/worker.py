"""The worker process of Python plugins: `python -m plugward.worker`, started by a runtime.

Its standard input is the memory that it shares with its host; it is of no use by hand.
"""

from __future__ import annotations

import faulthandler
import os
import sys


def main() -> None:
    """Serve the host until it says stop, then end without waiting for the plugin's threads."""
    faulthandler.enable()
    known = set(sys.path)
    for folder in os.environ.pop("PLUGWARD_PATH", "").split(os.pathsep):
        if folder and folder not in known:
            sys.path.append(folder)
    from plugward import _native

    status = _native.serve_worker("native" in sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
