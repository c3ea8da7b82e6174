"""The values of a model folder's tensors, in parts that fit in memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from validators.errors import UsageFault
from validators.probes.safetensors import TensorInfo, tensors_of

PART = 1 << 24
"""Elements in memory at once: 64 MiB in single precision."""
LEGACY = "*.bin"
NO_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin")


def values(infos: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Any]]:
    """Each tensor of safetensors files as a torch tensor, one in memory at a time."""
    from safetensors import safe_open

    for file in sorted({info.file for info in infos.values()}):
        with safe_open(str(file), framework="pt") as shard:
            for name in sorted(shard.keys()):
                if name in infos:
                    yield name, shard.get_tensor(name)


def not_finite(infos: Mapping[str, TensorInfo]) -> list[str]:
    """Names of tensors that hold a NaN or an infinity."""
    return [name for name, value in values(infos) if value.is_floating_point() and not bool(value.isfinite().all())]


@dataclass(slots=True)
class Weights:
    """All tensors of a model or adapter folder, in any order, whatever files they are spread over.

    Where there is no safetensors file, the old .bin files are mapped into memory and read as data alone
    (torch.load, weights_only): one that holds code is refused.
    """

    folder: Path
    infos: Mapping[str, TensorInfo]
    opened: dict[Path, Any] = field(default_factory=dict)
    prefix: str = ""
    """What the files' names have before the names here."""

    def under(self, prefix: str) -> Weights:
        """The tensors of one module, named as inside it."""
        inside = {name.removeprefix(prefix): info for name, info in self.infos.items() if name.startswith(prefix)}
        return Weights(self.folder, inside, self.opened, self.prefix + prefix)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape."""
        return self.infos[name].shape

    def rows(self, name: str, start: int, stop: int) -> Any:  # noqa: ANN401 (a torch tensor)
        """A tensor's rows from `start` to before `stop`; a number without dimensions is given whole."""
        held, stored = self.file(self.infos[name].file), self.prefix + name
        if isinstance(held, dict):
            return held[stored][start:stop] if self.shape(name) else held[stored]
        return held.get_slice(stored)[start:stop] if self.shape(name) else held.get_tensor(stored)

    def whole(self, name: str) -> Any:  # noqa: ANN401 (a torch tensor)
        """A tensor in one piece."""
        return self.rows(name, 0, max(self.shape(name)[0], 1) if self.shape(name) else 1)

    def file(self, path: Path) -> Any:  # noqa: ANN401 (a safetensors handle, or a dict of tensors)
        """A file, mapped into memory once."""
        if path not in self.opened:
            from safetensors import safe_open

            legacy = path.suffix == ".bin"
            self.opened[path] = load_legacy(path) if legacy else safe_open(str(path), framework="pt")
        return self.opened[path]


def weights_of(folder: Path) -> Weights:
    """The tensors of a folder; UsageFault where a file is cut off, or is a .bin that holds more than tensors."""
    infos = tensors_of(folder)
    if infos:
        return Weights(folder, infos)
    opened: dict[Path, Any] = {}
    legacy: dict[str, TensorInfo] = {}
    for path in sorted(folder.glob(LEGACY)):
        if path.name in NO_WEIGHTS:
            continue
        opened[path] = load_legacy(path)
        legacy |= {
            name: TensorInfo(path, str(value.dtype).removeprefix("torch."), tuple(value.shape))
            for name, value in opened[path].items()
        }
    return Weights(folder, legacy, opened)


def load_legacy(path: Path) -> dict[str, Any]:
    """A .bin file's tensors, mapped into memory; no code in it is run."""
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise UsageFault(path, f"not read: {str(error).splitlines()[0][:200]}", "tensors alone (torch.save)") from error
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UsageFault(path, "not only named tensors", "a state dict")
    return {str(name): value for name, value in loaded.items()}


def parts(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of rows that together are the tensor, each of at most PART elements or a single row."""
    if not shape:
        yield 0, 1
        return
    wide = max(1, PART // max(1, size(shape[1:])))
    for start in range(0, shape[0], wide):
        yield start, min(start + wide, shape[0])


def size(shape: tuple[int, ...]) -> int:
    """Elements of a tensor of this shape."""
    count = 1
    for length in shape:
        count *= length
    return count


def read_index(folder: Path) -> Mapping[str, str] | None:
    """Which file of a folder holds which tensor, by its own index; None where it has none."""
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        path = folder / name
        if path.is_file():
            try:
                placed = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
                return {str(tensor): str(file) for tensor, file in placed.items()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise UsageFault(path, "not an index of tensors", "a weight_map") from error
    return None
