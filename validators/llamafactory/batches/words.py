"""A replay of batches in words."""

from __future__ import annotations

from validators.llamafactory.batches.replay import BadBatches, BatchReplay


def summary_of(replay: BatchReplay) -> str:
    """A line for a report's summary; "" where no batch can be bad."""
    if replay.possible is None and not replay.bad:
        return ""
    parts = [
        counted(bad) + (f" ({bad.fault.plugin} repairs it)" if replay.repairs(bad.fault) else "") for bad in replay.bad
    ]
    if replay.unknown:
        parts.append(f"the order is not replayed ({replay.unknown})")
    elif not parts:
        parts.append("none mixes rows that cannot be collated together")
    followed = f"{replay.epochs} epoch{'s' * (replay.epochs != 1)} followed: " if replay.epochs else ""
    return followed + "; ".join(parts)


def counted(bad: BadBatches) -> str:
    """`3 of 12 batches of epoch 1 crash-step, the first at step 2`."""
    first = bad.first
    return (
        f"{bad.count} of {bad.batches} batches of epoch {first.epoch} {bad.fault.outcome.value}, "
        f"the first at step {first.step}"
    )
