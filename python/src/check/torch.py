"""Asks torch whether it can use the GPU. Runs in a throw-away process, with `-I -c`."""

import faulthandler
import json
import os
import sys
import warnings

given = json.loads(sys.argv[1])
end, write = os._exit, os.write
answer = os.dup(1)
os.dup2(2, 1)
if given["path"] is not None:
    sys.path[:] = given["path"]
faulthandler.enable()
faulthandler.dump_traceback_later(given["seconds"], exit=True)
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as told:
    import torch

    available = bool(torch.cuda.is_available())
    error = "; ".join(str(one.message) for one in told if "CUDA" in str(one.message))
    if not available and not error:
        try:
            torch.zeros(1).cuda()
        except Exception as refused:  # noqa: BLE001 (any of them is the answer)
            error = f"{type(refused).__name__}: {refused}"
text = json.dumps({"available": available, "error": error[:2000]})
write(answer, ("\n\x1e" + text).encode())
end(0)
