"""What the run will run on: its processes and their accelerators."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from curate.doctor.gpu import Driver
from train.trainer import environment

ON = ("true", "y", "1")
"""What llamafactory takes for yes in an environment variable (0.9.5, extras/misc.py: is_env_enabled)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The run's processes: on each node, and nodes; the memory of the smallest GPU in bytes, None without one."""

    processes: int
    nodes: int
    gpu_memory: int | None
    torchrun: bool
    guessed: str = ""
    """What the number of processes is a guess for; "" where it is known."""

    @property
    def world(self) -> int:
        """Processes in all: each takes its own batches."""
        return self.processes * self.nodes


def find_machine(settings: Mapping[str, object], driver: Driver) -> Machine:
    """As llamafactory-cli train starts it (0.9.5, launcher.py: launch), with what `curate train` sets."""
    values = environment(settings)
    gpus = visible(driver, values)
    enabled = {
        name for name in ("FORCE_TORCHRUN", "USE_MCA", "USE_RAY", "USE_KT") if values.get(name, "").lower() in ON
    }
    single = bool(enabled & {"USE_RAY", "USE_KT"})
    torchrun = bool(enabled & {"FORCE_TORCHRUN", "USE_MCA"}) or (len(gpus) > 1 and not single)
    guessed = driver.other if driver.other and not gpus and "NPROC_PER_NODE" not in values else ""
    memory = None if not gpus or settings.get("use_cpu") else min(gpus)
    if not torchrun:
        return Machine(1, 1, memory, False, guessed)
    return Machine(number(values, "NPROC_PER_NODE", len(gpus)), number(values, "NNODES", 1), memory, True, guessed)


def visible(driver: Driver, values: Mapping[str, str]) -> list[int]:
    """Memory in bytes of each GPU that CUDA_VISIBLE_DEVICES shows; numbers after one that is none do not count."""
    shown = values.get("CUDA_VISIBLE_DEVICES")
    sizes = [gpu.memory for gpu in driver.gpus]
    if shown is None:
        return sizes
    found: list[int] = []
    for name in filter(None, (part.strip() for part in shown.split(","))):
        if (name.isdecimal() and int(name) >= len(sizes)) or name.startswith("-"):
            break
        # a GPU named by its UUID counts as one of the smallest
        found.append(sizes[int(name)] if name.isdecimal() else min(sizes, default=0))
    return found if sizes else []


def number(values: Mapping[str, str], name: str, default: int) -> int:
    """A variable's number, at least 1."""
    text = values.get(name, "")
    return max(int(text) if text.isdecimal() else default, 1)


def own_memory() -> int | None:
    """This machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
