"""What the run will have: GPUs and number format, by what this machine shows or the command line says."""

from __future__ import annotations

from dataclasses import dataclass

from curate.doctor.gpu import Driver, read_driver
from validators.probes import installed
from validators.replay.requirements import FLASH

AMPERE = (8, 0)
"""The first compute capability with bf16 units (NVIDIA, CUDA C++ Programming Guide, compute capabilities)."""
USUAL_MEMORY = 80.0
"""GB of a GPU that is not here to be asked."""


@dataclass(frozen=True, slots=True)
class Machine:
    """gpus: 0 for a run on the CPU. precision: bf16, fp16 or fp32. memory: GB of the smallest GPU."""

    gpus: int
    memory: float
    precision: str
    flash: bool
    """Whether flash-attn is installed in a version that the trainer takes."""
    seen: bool
    """Whether this machine was looked at: else the command line said how many GPUs there are."""


def choose_machine(gpus: int | None, memory: float | None, precision: str | None) -> Machine:
    """What the command line says, and for the rest what the driver shows."""
    driver = read_driver()
    count = gpus if gpus is not None else len(driver.gpus) or (1 if driver.other else 0)
    held = min((gpu.memory / 1e9 for gpu in driver.gpus if gpu.memory), default=USUAL_MEMORY)
    version = installed.version_of("flash-attn")
    return Machine(
        gpus=count,
        memory=memory if memory is not None else held,
        precision=precision or usual_precision(count, driver),
        flash=count > 0 and version is not None and installed.accepted(version, FLASH),
        seen=gpus is None,
    )


def usual_precision(count: int, driver: Driver) -> str:
    """bf16 on GPUs, fp16 where one that is here is older than Ampere."""
    if count == 0:
        return "fp32"
    old = any((0, 0) < gpu.capability < AMPERE for gpu in driver.gpus)
    return "fp16" if old else "bf16"
