"""The versions that the tests import: those of the environment, or of a folder laid over it (scripts/overlay.py)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from validators.llamafactory.trainer import Trainer


@cache
def installed_trainer() -> Trainer:
    """What a prediction that is held against the real trainer has to be made for."""
    return Trainer(llamafactory=version("llamafactory"), transformers=version("transformers"))


def major_transformers() -> int:
    """4 or 5."""
    return int(installed_trainer().transformers.split(".")[0])
