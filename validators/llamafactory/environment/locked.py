"""The environments that mmcurate brings a lock for: each one trainer, with all that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from validators.llamafactory.trainer import REFERENCE, Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedEnvironment:
    """One lock: `curate env --make NAME` installs it."""

    name: str
    trainer: Trainer
    lock: str
    """The lock's file name."""
    words: str
    """Which models it is for."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that the trainer needs in it."""


LOCKED = (
    LockedEnvironment(
        name="transformers-4",
        trainer=REFERENCE,
        lock="transformers-4.txt",
        words="models with code of their own for transformers 4 (MiniCPM-V to 4.5, MiniCPM-o), and classes of 4.57",
    ),
    LockedEnvironment(
        name="transformers-5",
        trainer=Trainer(llamafactory="0.9.5", transformers="5.5.4"),
        lock="transformers-5.txt",
        words="models whose classes came with transformers 5",
    ),
    LockedEnvironment(
        name="minicpm-v-4.6",
        trainer=Trainer(llamafactory="0.9.5", transformers="5.7.0"),
        lock="minicpm-v-4.6.txt",
        words="MiniCPM-V 4.6 and later, whose classes came with transformers 5.7",
        # llamafactory 0.9.5 takes transformers up to 5.6.0
        variables={"DISABLE_VERSION_CHECK": "1"},
    ),
)
"""The default one first."""
