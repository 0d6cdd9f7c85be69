"""Says where an interpreter looks for packages. Runs in that interpreter, with `-I -c`; any version from 3.6 on."""

import json
import os
import platform
import sys

v = sys.version_info
implementation = sys.implementation
iv = implementation.version
level = "" if iv.releaselevel == "final" else iv.releaselevel[0] + str(iv.serial)
markers = {
    "implementation_name": implementation.name,
    "implementation_version": f"{iv.major}.{iv.minor}.{iv.micro}{level}",
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": f"{v.major}.{v.minor}",
    "sys_platform": sys.platform,
}
facts = {"version": platform.python_version(), "path": [p for p in sys.path if p], "markers": markers}
sys.stdout.write("\n\x1e" + json.dumps(facts))
