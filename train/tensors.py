"""The tensors of a model folder: names and shapes from headers, values one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validators.errors import UsageFault

MAX_HEADER_BYTES = 100 << 20  # the format's own limit (safetensors)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies and what it is."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def header(path: Path) -> Mapping[str, TensorInfo]:
    """The tensors that one safetensors file declares; UsageFault when it is cut off or is no such file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise UsageFault(path, f"a header of {length} bytes in a file of {size}", "a whole safetensors file")
        try:
            entries = json.loads(file.read(length))
        except ValueError as error:
            raise UsageFault(path, f"a header that is not JSON: {error}", "a whole safetensors file") from error
    infos = {
        name: TensorInfo(path, entry["dtype"], tuple(entry["shape"]))
        for name, entry in entries.items()
        if name != "__metadata__"
    }
    end = max((entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0)
    if 8 + length + end != size:
        raise UsageFault(path, f"{size} bytes, its header promises {8 + length + end}", "a whole safetensors file")
    return infos


def tensors_of(folder: Path) -> Mapping[str, TensorInfo]:
    """All tensors of a model or adapter folder, over its shards."""
    files = sorted(folder.glob("*.safetensors"))
    found: dict[str, TensorInfo] = {}
    for file in files:
        found |= header(file)
    return found


def values(infos: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Any]]:
    """Each tensor as a torch tensor, one in memory at a time."""
    from safetensors import safe_open

    for file in sorted({info.file for info in infos.values()}):
        with safe_open(str(file), framework="pt") as shard:
            for name in sorted(shard.keys()):
                if name in infos:
                    yield name, shard.get_tensor(name)


def not_finite(infos: Mapping[str, TensorInfo]) -> list[str]:
    """Names of tensors that hold a NaN or an infinity."""
    return [name for name, value in values(infos) if value.is_floating_point() and not bool(value.isfinite().all())]
