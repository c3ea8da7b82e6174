"""How a run orders its rows and cuts them into batches, as the yaml says it.

Sources: llamafactory 0.9.5, train/sft/trainer.py: _get_train_sampler; transformers 4.57.1, trainer.py:
_get_train_sampler and _get_dataloader (drop_last, the batch); accelerate 1.11.0, data_loader.py: SeedableRandomSampler
(the seed of an epoch is data_seed, else seed, plus the number of the epoch) and BatchSamplerShard (one batch a process
in turn, the last round filled up from the front).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from validators.llamafactory.batches.permutation import permutation
from validators.replay.arguments import Arguments
from validators.replay.steps import batches, total, updates

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

GROUPED = "group_by_length"
MOST_AT_ONCE = 1 << 24
"""Rows of a round of batches that are replayed: accelerate fills the last round up, and repeats rows for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """A run's order and batches. `batch` and `processes` are counted in rows and in the run's processes."""

    batch: int
    processes: int
    shuffled: bool = True
    seed: int = 42
    """Of the first epoch; each later one has one more."""
    accumulated: int = 1
    drop_last: bool = False
    epochs: float = 3.0
    max_steps: int = -1
    """-1 where epochs decide."""

    def order(self, rows: int, epoch: int) -> Rows | None:
        """The rows by number in the order of an epoch, the first being 0; None where torch draws otherwise."""
        import numpy as np

        if not self.shuffled:
            return np.arange(rows, dtype=np.int64)
        drawn = permutation(rows, self.seed + epoch)
        return None if drawn is None else drawn.astype(np.int64)

    def updates_of_epoch(self, rows: int) -> int:
        """Optimizer steps of an epoch of so many rows."""
        return updates(batches(rows, self.batch, self.processes, self.drop_last), self.accumulated)

    def steps(self, rows: int) -> int:
        """Optimizer steps of the run."""
        return total(self.updates_of_epoch(rows), self.epochs, self.max_steps)

    def step(self, rows: int, epoch: int, batch: int) -> int:
        """The optimizer step, from 1, to which a batch of an epoch belongs; both are counted from 0."""
        return epoch * self.updates_of_epoch(rows) + batch // self.processes // self.accumulated + 1


def evaluating(arguments: Arguments, sampling: Sampling) -> Sampling:
    """The order and batches of an evaluation, which goes over its rows once (trainer.py: _get_eval_sampler)."""
    batch = min(arguments.whole("per_device_eval_batch_size", 8), MOST_AT_ONCE)
    return replace(sampling, shuffled=False, batch=batch, accumulated=1, epochs=1.0, max_steps=-1)


def sampling_of(arguments: Arguments, processes: int) -> Sampling | str:
    """What the yaml says of it; in words why the order cannot be known."""
    if arguments.on("streaming"):
        return "streaming: rows come as they are read, through a buffer"
    if arguments.on(GROUPED) or arguments["train_sampling_strategy"] == GROUPED:
        return "group_by_length: its draws follow those of the model's weights"
    if arguments.on("auto_find_batch_size"):
        return "auto_find_batch_size: the batch is known when the run is under way"
    if arguments["accelerator_config"]:
        return "accelerator_config: another way to cut and share batches"
    seeds = [arguments[key] for key in ("data_seed", "seed") if arguments[key] is not None]
    seed = seeds[0] if seeds else 42
    if not isinstance(seed, int) or isinstance(seed, bool):
        return "a seed that is no whole number"
    batch = arguments.whole("per_device_train_batch_size", 8)
    if batch * processes > MOST_AT_ONCE:
        return f"batches of {batch} rows"
    limit, epochs = arguments.number("max_steps"), arguments.number("num_train_epochs")
    return Sampling(
        shuffled=not (arguments.on("disable_shuffling") or arguments["train_sampling_strategy"] == "sequential"),
        seed=seed,
        batch=batch,
        accumulated=arguments.whole("gradient_accumulation_steps", 1),
        processes=processes,
        drop_last=arguments.on("dataloader_drop_last"),
        epochs=epochs if epochs is not None and math.isfinite(epochs) else 3.0,
        max_steps=int(limit) if limit is not None and 0 < limit < math.inf else -1,
    )


def cut(order: Rows, sampling: Sampling) -> tuple[Rows, list[Rows]]:
    """The batches of an epoch in their order: the first one of each process, then the second ones …

    Whole ones as a table (batches, size), then those with the rest of the rows, filled up where there are processes
    without a batch.
    """
    import numpy as np

    size, processes = sampling.batch, sampling.processes
    whole = len(order) // size
    if sampling.drop_last:
        whole -= whole % processes
    table, rest = order[: whole * size].reshape(-1, size), order[whole * size :]
    if sampling.drop_last:
        return table, []
    if processes == 1 or not len(order):
        return table, [rest] if len(rest) else []
    front = order[: size * processes]
    front = np.resize(front, max(len(front), 2 * size * processes))  # repeated where there are too few rows
    at, number, more = 0, whole, []
    while number % processes or len(rest):
        end = at + size - len(rest)
        more.append(np.concatenate([rest, front[at:end]]))
        at, rest, number = end, rest[:0], number + 1
    return table, more
