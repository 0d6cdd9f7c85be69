"""Writes a network as a TorchScript file with its metadata, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

METADATA = "plugward.json"


def _without_sources(archive: bytes) -> bytes:
    """The archive less its `debug_pkl` records.

    They are a third of a small file and hold the paths of the machine that wrote it; loading works without them.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    out = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(out)
    for record in reader.get_all_records():
        if record.endswith(".debug_pkl") or record.startswith((".data/", "version", "byteorder")):
            continue
        data = reader.get_record(record)
        writer.write_record(record, data, len(data))
    writer.write_end_of_file()
    return out.getvalue()


def export(network: nn.Module, metadata: Mapping[str, object], path: Path) -> str:
    """Write `network` (already `deployed`, with an output layout) to `path`; the sha256 of the file."""
    script = torch.jit.script(network)
    extra = {METADATA: json.dumps(metadata, sort_keys=True)}
    buffer = io.BytesIO()
    torch.jit.save(script, buffer, _extra_files=extra)
    data = _without_sources(buffer.getvalue())
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
