"""How many batches and optimizer steps an epoch has, and the run.

Sources: transformers 5.6.0, trainer.py: set_initial_training_values; accelerate 1.11.0, data_loader.py:
BatchSamplerShard.__len__ (even_batches, the default: the last round is filled up with rows from the front).
"""

from __future__ import annotations

import math


def batches(rows: int, batch: int, devices: int, drop_last: bool) -> int:
    """Batches that each device gets of so many rows in an epoch."""
    whole = rows // batch if drop_last else -(-rows // batch)
    return whole // devices if drop_last else -(-whole // devices)


def updates(batches_of_device: int, accumulated: int) -> int:
    """Optimizer steps an epoch; the last may have fewer batches than the others."""
    return max(-(-batches_of_device // accumulated), 1)


def total(updates_of_epoch: int, epochs: float, max_steps: int) -> int:
    """Optimizer steps of the run: max_steps unless it is negative."""
    return max_steps if max_steps >= 0 else math.ceil(epochs * updates_of_epoch)
