"""Thousands of crashes leave nothing behind: `make crashes` (10,000), a few in every run of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEATHS = int(os.environ.get("PLUGWARD_TEST_DEATHS", "300"))
WHOLE = {"python": 250, "native": 250}
"""Leases that each worker gives at the end: nearly all that it has."""
GROWTH_KB = 8 << 10
"""What the host may grow by, however many crashes there were."""


@pytest.mark.skipif(sys.platform != "linux", reason="worker processes are Linux only")
@pytest.mark.timeout(600 + 2 * DEATHS)
def test_crashes_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = tmp_path / "libbad.so"
    flags = ["-O1", "-w", "-shared", "-fPIC", "-D_GNU_SOURCE", "-pthread", f"-I{ROOT / 'include'}"]
    source = ROOT / "worker/tests/common/bad.c"
    subprocess.run([os.environ.get("CC", "cc"), *flags, str(source), "-o", str(library)], check=True)
    folder = tmp_path / "host"
    folder.mkdir()
    command = [sys.executable, str(HERE / "host.py"), str(DEATHS), str(library), str(folder)]
    done = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    said = json.loads(done.stdout.splitlines()[-1])
    with capsys.disabled():
        print(f"\n{json.dumps(said)}")
    before, after = said["before"], said["after"]
    grown = after.pop("rss_kb") - before.pop("rss_kb")
    assert after == before
    assert grown <= GROWTH_KB
    assert said["leases"] == WHOLE
    assert said["left"] == 0
