"""Imports modules in a throw-away process and answers how that went. Runs with `-I -c`; any version from 3.6 on."""

import contextlib
import faulthandler
import importlib
import json
import os
import sys
import traceback

given = json.loads(sys.argv[1])
end, write = os._exit, os.write
# What the modules print goes to standard error, the answer to a descriptor that they do not know.
answer = os.dup(1)
os.dup2(2, 1)
if given["path"] is not None:
    sys.path[:] = given["path"]
# This thread needs no interpreter lock: also a module that hangs in native code, or whose host is gone, ends in time.
faulthandler.enable()
faulthandler.dump_traceback_later(given["seconds"], exit=True)


def said(error):
    """Tell what the exception says, whatever its own methods do."""
    try:
        return str(error)[:2000]
    except BaseException:  # noqa: BLE001 (they are the module's)
        return "(its message cannot be shown)"


def shown(trace):
    """Leave out what leads from here into the module."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(("<", importlib.__file__)):
        trace = trace.tb_next
    return trace


failed = None
for name in given["modules"]:
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 (a module may raise whatever it likes)
        traceback.print_exception(type(error), error, shown(error.__traceback__), limit=-6)
        failed = [name, type(error).__name__, said(error)]
        break
for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(BaseException):
        stream.flush()
write(answer, ("\n\x1e" + json.dumps({"failed": failed})).encode())
end(0)
