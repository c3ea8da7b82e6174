"""Steps, epochs, supervised tokens and padding of a run, from the lengths of its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from train.preflight.figures import Range, exactly
from train.preflight.machine import Machine
from train.preflight.prepared import has_rows, read_prepared
from train.preflight.survey import Lengths, Survey
from validators.replay.arguments import Arguments
from validators.replay.order import PACK_LOT, merged, packs, trained
from validators.replay.steps import batches, total, updates
from validators.report.model import Report
from validators.settings import TrainerSettings
from validators.sources.target import CheckPlan

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

MULTIPLE = 8
"""Batches are padded to a multiple of so many tokens (llamafactory 0.9.5, train/sft/workflow.py: run_sft)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a run does, in numbers. Ranges whose ends are equal are exact."""

    rows: Range
    """Rows that an epoch trains on."""
    sequences: Range
    """What the trainer counts as examples: rows, or packed sequences."""
    batch: int
    """Of one device."""
    accumulated: int
    steps_of_epoch: Range
    steps: Range
    epochs: Range
    tokens: Range
    """Tokens of an epoch's rows."""
    supervised: Range
    """Tokens of an epoch's rows that carry loss."""
    supervised_in_all: Range
    padding: float | None
    """The share of a batch's places that hold no token: exact for one row a batch and for packs, else of rows in a
    random order."""
    longest: int
    """Tokens of the longest sequence as it is padded, 0 where no row was counted."""
    notes: tuple[str, ...] = ()
    """Why a figure is a range."""


def schedule(plan: CheckPlan, report: Report, survey: Survey, machine: Machine) -> Schedule | str:
    """The run's schedule, or in words why it is not known."""
    settings = plan.settings
    arguments = Arguments(settings.raw, trainer=settings.trainer)
    fault = untold(arguments, plan)
    if fault:
        return fault
    prepared = prepared_in(arguments)
    if prepared is not None:
        return of_prepared(arguments, prepared, machine)
    notes: list[str] = []
    tokens, supervised, sizes = columns(plan, survey, settings.max_samples, notes)
    seed = arguments.whole("seed", 0)
    order = merged(sizes, settings.raw, seed) if sum(sizes) else None
    if order is None:
        return "the datasets cannot be merged in this way" if sum(sizes) else "no row was read"
    before = len(order)
    order = trained(order, arguments.number("val_size") or 0, seed)
    if not len(order):
        return "val_size leaves no row to train on"
    tokens, supervised = tokens[order], supervised[order]
    counted = int((tokens > 0).sum())
    summaries = [summary for summary in report.datasets if not summary.evaluates]
    unknown = sum(max(summary.reaching - summary.counted, 0) for summary in summaries)
    rows = exactly(counted)
    if unknown:
        notes.append(f"the lengths of {unknown} rows are not known")
        dropped = sum(summary.rows - summary.reaching for summary in summaries)
        rearranged = len(order) != before or before != sum(summary.rows for summary in summaries)
        most = min(counted + unknown, len(order)) if dropped else len(order)
        rows = Range(counted, most) if dropped and rearranged else exactly(most)
    share = rows.high / counted if counted else 0
    sums = int(tokens.sum()), int(supervised.sum())
    sequences, padding, longest = packed_or_not(settings, arguments, tokens, rows, unknown, notes)
    return counted_out(
        arguments, machine, rows, sequences, Range(sums[0], sums[0] * share), Range(sums[1], sums[1] * share),
        padding, longest, tuple(notes),
    )  # fmt: skip


def prepared_in(arguments: Arguments) -> Path | None:
    """The folder of tokenized rows that the run takes in the place of its datasets; None where it has none."""
    path = arguments["tokenized_path"]
    return Path(path) if isinstance(path, str) and has_rows(Path(path)) else None


def of_prepared(arguments: Arguments, folder: Path, machine: Machine) -> Schedule | str:
    """The schedule of rows that are tokenized already: they are cut, packed and held out as they were then."""
    tokens, supervised = read_prepared(folder)
    if not len(tokens):
        return f"{folder} holds no row to train on"
    note = f"the rows are those of tokenized_path, {folder}, whatever the datasets are now"
    padding = padding_of(tokens, arguments.whole("per_device_train_batch_size", 8))
    count = exactly(len(tokens))
    return counted_out(
        arguments, machine, count, count, exactly(int(tokens.sum())), exactly(int(supervised.sum())), padding,
        -(-int(tokens.max()) // MULTIPLE) * MULTIPLE, (note,),
    )  # fmt: skip


def untold(arguments: Arguments, plan: CheckPlan) -> str:
    """Why the number of steps is not told; "" where it is."""
    unread = (*plan.passed_over, *(item.name for item in plan.undefined), *(item.name for item in plan.bad_entries))
    if not arguments.on("do_train"):
        return "nothing is trained: no do_train"
    epochs = arguments.number("num_train_epochs")
    if arguments.number("max_steps") == 0:
        return "nothing is trained: max_steps: 0"
    if not arguments.beyond("max_steps", 0) and (epochs is None or not 0 < epochs < math.inf):
        return f"nothing is trained: {arguments.shown('num_train_epochs')}"
    if not arguments.among("stage", "sft"):
        return f"stage {arguments['stage']}: only sft is estimated"
    if arguments.on("streaming"):
        return "streaming: the rows of an epoch are not counted"
    if arguments.on("auto_find_batch_size"):
        return "auto_find_batch_size: the batch is known when the run is under way"
    if unread and prepared_in(arguments) is None:
        return f"{', '.join(unread)}: not read here"
    return ""


def columns(plan: CheckPlan, survey: Survey, limit: int | None, notes: list[str]) -> tuple[Numbers, Numbers, list[int]]:
    """Tokens and supervised tokens of all rows, dataset after dataset, 0 for a row that is dropped or not counted; and
    the rows of each dataset."""
    import numpy as np

    tokens, supervised = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    sizes = []
    for dataset in plan.datasets:
        if dataset.evaluates:
            continue
        lengths = survey.lengths.get(dataset.entry.name, Lengths())
        count = len(lengths.tokens)
        if dataset.num_samples is not None:
            notes.append(f"num_samples of {dataset.entry.name} draws rows in an order that is not followed here")
            count = min(dataset.num_samples, dataset.num_samples if limit is None else limit) if count else 0
        # rows that num_samples draws again stand in for each other
        tokens.append(np.resize(np.array(lengths.tokens, dtype=np.int64), count))
        supervised.append(np.resize(np.array(lengths.supervised, dtype=np.int64), count))
        sizes.append(count)
    return np.concatenate(tokens), np.concatenate(supervised), sizes


def packed_or_not(
    settings: TrainerSettings, arguments: Arguments, tokens: Numbers, rows: Range, unknown: int, notes: list[str]
) -> tuple[Range, float | None, int]:
    """Sequences of an epoch, their padding share, and the longest as it is padded."""
    if not (settings.packing or settings.neat_packing):
        longest = int(tokens.max(initial=0))
        padded = -(-longest // MULTIPLE) * MULTIPLE
        return rows, padding_of(tokens[tokens > 0], arguments.whole("per_device_train_batch_size", 8)), padded
    capacity = settings.effective_cutoff
    lot = arguments.whole("preprocessing_batch_size", PACK_LOT)
    workers = arguments.whole("preprocessing_num_workers", 1)
    lengths = tokens.tolist()
    filled = [sum(lengths[row] for row in rows_of) for rows_of in packs(lengths, capacity, lot, workers)]
    padded = -(-settings.cutoff_len // MULTIPLE) * MULTIPLE
    places = len(filled) * padded
    padding = 1 - sum(filled) / places if places else None
    if unknown:
        notes.append("packs were counted without them")
        return Range(len(filled), len(filled) + rows.high - int((tokens > 0).sum())), padding, padded
    return exactly(len(filled)), padding, padded


def padding_of(tokens: Numbers, batch: int) -> float | None:
    """The share of padding in batches of so many rows, in a random order; None without a row."""
    import numpy as np

    if not len(tokens):
        return None
    batch = min(batch, len(tokens))
    shuffled = np.random.default_rng(0).permutation(tokens)
    whole_batches = len(shuffled) // batch * batch
    longest = shuffled[:whole_batches].reshape(-1, batch).max(axis=1, initial=0)
    places = int((-(-longest // MULTIPLE) * MULTIPLE).sum()) * batch
    rest = shuffled[whole_batches:]
    if len(rest):
        places += -(-int(rest.max()) // MULTIPLE) * MULTIPLE * len(rest)
    return 1 - int(tokens.sum()) / places


def counted_out(
    arguments: Arguments,
    machine: Machine,
    rows: Range,
    sequences: Range,
    tokens: Range,
    supervised: Range,
    padding: float | None,
    longest: int,
    notes: tuple[str, ...],
) -> Schedule:
    """Steps and sums for that many sequences."""
    batch = arguments.whole("per_device_train_batch_size", 8)
    accumulated = arguments.whole("gradient_accumulation_steps", 1)
    drop_last = arguments.on("dataloader_drop_last")
    limit = arguments.number("max_steps")
    max_steps = int(limit) if limit is not None and 0 < limit < math.inf else -1
    asked = arguments.number("num_train_epochs") or 0
    each = [
        updates(batches(int(count), batch, machine.world, drop_last), accumulated)
        for count in (sequences.low, sequences.high)
    ]
    steps = Range(*(total(of_epoch, asked, max_steps) for of_epoch in each))
    epochs = exactly(asked) if max_steps < 0 else Range(steps.low / each[1], steps.high / each[0])
    return Schedule(
        rows, sequences, batch, accumulated, Range(*each), steps, epochs, tokens, supervised,
        Range(supervised.low * epochs.low, supervised.high * epochs.high), padding, longest, notes,
    )  # fmt: skip


def as_json(found: Schedule | str) -> Mapping[str, object]:
    """For programs."""
    return {"unknown": found} if isinstance(found, str) else asdict(found)
