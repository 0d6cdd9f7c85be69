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
    here = sys.path[0]
    known = set(sys.path)
    hosts = [folder for folder in os.environ.get("PLUGWARD_PATH", "").split(os.pathsep) if folder]
    sys.path += [folder for folder in hosts if folder not in known]
    # What must stay readable where permissions.read names folders; the working folder, which `-m` puts first, need not.
    own = [folder for folder in sys.path if folder in hosts or folder != here]
    os.environ["PLUGWARD_PATH"] = os.pathsep.join([*own, sys.prefix, sys.base_prefix])
    from plugward import _native

    status = _native.serve_worker("native" in sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
