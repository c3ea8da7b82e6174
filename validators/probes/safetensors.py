"""The tensors of a model folder: names and shapes, from the headers of its safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        text = file.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        infos = {name: TensorInfo(path, entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, RecursionError) as error:
        raise UsageFault(path, f"a header that is not JSON: {error}", "a whole safetensors file") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UsageFault(path, "a header that does not describe tensors", "a whole safetensors file") from error
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
