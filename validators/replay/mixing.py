"""How many rows of each dataset one epoch draws, as the trainer merges them.

Sources: llamafactory 0.9.5, data/data_utils.py: merge_dataset; datasets 4.0.0, arrow_dataset.py:
_interleave_map_style_datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite

STRATEGY = "concat"


def drawn(sizes: Sequence[int], raw: Mapping[str, object]) -> list[float] | None:
    """Rows of each dataset in one epoch; with probabilities, those to be expected. None where the merge fails.

    sizes: rows of each dataset. raw: the train yaml's keys.
    """
    strategy = raw.get("mix_strategy", STRATEGY)
    if len(sizes) == 1 or strategy == STRATEGY:
        return [float(size) for size in sizes]
    if strategy not in ("interleave_under", "interleave_over") or not all(sizes):
        return None
    end = min if strategy == "interleave_under" else max
    given = raw.get("interleave_probs")
    if given is None:
        return [float(end(sizes))] * len(sizes)
    shares = shares_of(given)
    if shares is None or len(shares) != len(sizes):
        return None
    whole = end(size / share for size, share in zip(sizes, shares, strict=True))
    return [whole * share for share in shares]


def shares_of(given: object) -> list[float] | None:
    """interleave_probs as numbers that add up to 1; None where they do not."""
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    try:
        shares = [float(part) for part in parts]
    except (TypeError, ValueError):
        return None
    sound = all(isfinite(share) and share > 0 for share in shares) and abs(sum(shares) - 1) < 1e-6
    return shares if sound else None


def fails_to_hold_out(rows: int, size: object) -> bool:
    """Whether val_size leaves no row to train on, so that the split fails (datasets 4.0.0: train_test_split); infinity
    fails before, as it is made a whole number (llamafactory 0.9.5, data/data_utils.py: split_dataset)."""
    if isinstance(size, bool) or not isinstance(size, int | float) or not size > 1e-6 or not rows:
        return False
    if not isfinite(size):
        return True
    if size > 1:
        return int(size) >= rows
    if isinstance(size, int):
        return size >= rows
    return size == 1 or ceil(size * rows) >= rows
