"""What the project is built from and runs on may be used and passed on without the duties of the GPL and AGPL.

The crates are those of Cargo.lock; the Python packages those that requirements/*.txt pins and that are installed
here or in .torch. What is pinned and not installed cannot be known without the network, and is named in a skip.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.videotracker.support import ROOT

ALLOWED = {
    "0bsd",
    "apache-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "isc",
    "mit",
    "mit-0",
    "mit-cmu",
    "mpl-2.0",
    "psf-2.0",
    "python-2.0",
    "unicode-3.0",
    "unlicense",
    "zlib",
}
"""Of SPDX; `WITH` an exception grants more, so it is left out of the comparison."""
CLASSIFIED = {
    "apache software license": "apache-2.0",
    "bsd license": "bsd-3-clause",
    "isc license (iscl)": "isc",
    "mit license": "mit",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0",
    "python software foundation license": "psf-2.0",
    "the unlicense (unlicense)": "unlicense",
    "apache": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "bsd": "bsd-3-clause",
    "bsd 3-clause": "bsd-3-clause",
    "bsd 3-clause license": "bsd-3-clause",
    "new bsd": "bsd-3-clause",
}
"""Words of the classifiers and of the older field `License`, which has no rules."""
NAMED = {
    "nvidia-": "proprietary: NVIDIA's CUDA libraries, which may be passed on with a program; not in our wheel",
    "cuda-": "proprietary: as above",
    "pebble": "LGPL: a peer that `make bench` imports and measures, in no package of ours",
    "func-timeout": "LGPL: as above",
    "imageio-ffmpeg": "bsd-2-clause; the ffmpeg that it carries is a GPL program, started and never linked or shipped",
}
"""Looked at by hand: the beginning of a name, and why it may be there."""
TERM = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+-]+)")


def allowed(expression: str) -> bool:
    """Whether some choice of an SPDX expression (or of the older `MIT/Apache-2.0`) is on the list."""
    tokens = TERM.findall(expression.replace("/", " OR "))
    ours, rest = either(tokens)
    return ours and not rest


def either(tokens: list[str]) -> tuple[bool, list[str]]:
    """A OR B."""
    ours, rest = both(tokens)
    while rest and rest[0].upper() == "OR":
        other, rest = both(rest[1:])
        ours = ours or other
    return ours, rest


def both(tokens: list[str]) -> tuple[bool, list[str]]:
    """A AND B."""
    ours, rest = one(tokens)
    while rest and rest[0].upper() == "AND":
        other, rest = one(rest[1:])
        ours = ours and other
    return ours, rest


def one(tokens: list[str]) -> tuple[bool, list[str]]:
    """A licence, with or without an exception, or a bracket."""
    if not tokens:
        return False, []
    if tokens[0] == "(":
        ours, rest = either(tokens[1:])
        return ours, rest[1:]
    rest = tokens[1:]
    if rest and rest[0].upper() == "WITH":
        rest = rest[2:]
    return tokens[0].lower() in ALLOWED, rest


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("MIT OR Apache-2.0", True),
        ("MIT/Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("MIT OR AGPL-3.0-only", True),
        ("MIT AND AGPL-3.0-only", False),
        ("AGPL-3.0", False),
        ("GPL-3.0-or-later", False),
        ("GPL-2.0 WITH Classpath-exception-2.0", False),
        ("MIT whatever", False),
        ("", False),
    ],
)
def test_expressions_are_read_as_spdx_means_them(expression: str, good: bool) -> None:
    assert allowed(expression) is good


def test_every_crate_may_be_passed_on() -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("no cargo here: the licences of the crates are not known")
    command = [cargo, "metadata", "--format-version=1", "--locked", "--all-features"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if told.returncode != 0:
        pytest.skip(f"cargo metadata: {told.stderr.strip().splitlines()[-1]}")
    crates = json.loads(told.stdout)["packages"]
    assert len(crates) > 100
    refused = {f"{c['name']} {c['version']}": c["license"] for c in crates if not allowed(c["license"] or "")}
    assert not refused


def pinned() -> Iterator[str]:
    """The names of every package that a lock file pins."""
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        yield from re.findall(r"^([A-Za-z0-9._-]+)==", path.read_text(), re.MULTILINE)


def licence(metadata: importlib.metadata.PackageMetadata) -> list[str]:
    """What a package says of its licence, as SPDX expressions; all must be allowed."""
    told = metadata.json
    expression = told.get("license_expression")
    if expression:
        return [str(expression)]
    found = [str(c) for c in told.get("classifier") or [] if str(c).startswith("License :: ")]
    words = [c.rsplit(" :: ", 1)[1] for c in found if not c.endswith(("OSI Approved", "DFSG approved"))]
    field = str(told.get("license") or "").strip()
    if not words and field and "\n" not in field:
        words = [field]
    return [CLASSIFIED.get(word.lower(), word) for word in words]


def test_every_python_package_may_be_passed_on() -> None:
    places = [*sys.path, str(ROOT / ".torch")]
    unknown, refused = [], {}
    for name in sorted(set(pinned())):
        if any(name.startswith(start) for start in NAMED):
            continue
        distribution = next(iter(importlib.metadata.Distribution.discover(name=name, path=places)), None)
        told = licence(distribution.metadata) if distribution else []
        if not told:
            unknown.append(name)
        elif not all(allowed(expression) for expression in told):
            refused[name] = told
    assert not refused
    if unknown:
        pytest.skip(f"{len(unknown)} packages are pinned and not installed here, or say nothing: {', '.join(unknown)}")
