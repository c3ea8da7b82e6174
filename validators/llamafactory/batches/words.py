"""A replay of batches in words."""

from __future__ import annotations

from collections.abc import Sequence

from validators.llamafactory.batches.replay import BadBatches, BatchReplay


def summary_of(replays: Sequence[BatchReplay]) -> str:
    """A line for a report's summary; "" where no batch can be bad."""
    told = (replay for replay in replays if replay.possible is not None or replay.bad)
    return "; ".join(map(told_of, told))


def told_of(replay: BatchReplay) -> str:
    """What is known of the batches of a training, or of an evaluation."""
    parts = [counted(bad, replay) for bad in replay.bad]
    if replay.unknown:
        parts.append(f"the order is not replayed ({replay.unknown})")
    elif not parts:
        epochs = f", in {replay.epochs} epoch{'s' * (replay.epochs != 1)}" if not replay.evaluates else ""
        parts.append(f"none mixes rows that cannot be collated together{epochs}")
    return ("of an evaluation " if replay.evaluates and not replay.bad else "") + ", ".join(parts)


def counted(bad: BadBatches, replay: BatchReplay) -> str:
    """`3 of 12 batches of epoch 1 crash-step, the first at step 2`."""
    first = bad.first
    batches = f"{bad.count} of {bad.batches} batches"
    repaired = f" ({bad.fault.plugin} repairs it)" if replay.repairs(bad.fault) else ""
    if replay.evaluates:
        return f"{batches} of an evaluation {bad.fault.outcome.value}{repaired}"
    return f"{batches} of epoch {first.epoch} {bad.fault.outcome.value}, the first at step {first.step}{repaired}"
