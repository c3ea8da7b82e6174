"""The values of a model folder's tensors, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from validators.probes.safetensors import TensorInfo


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
