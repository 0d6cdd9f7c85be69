"""The README's Python runs, and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def promised(block: str) -> list[str]:
    """What stands in the comments behind `print`, up to a comma that begins an aside."""
    return [
        re.split(r", until ", line.split("#", 1)[1].strip())[0]
        for line in block.splitlines()
        if line.strip().startswith("print(") and "#" in line
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {n}" for n in range(1, len(BLOCKS) + 1)])
def test_the_block_prints_what_it_says(block: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == promised(block)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 2
    assert len(promised(BLOCKS[0])) >= 4
