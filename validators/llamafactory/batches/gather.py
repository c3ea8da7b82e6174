"""Batch of rows by batch of rows to a replay of the run's batches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from validators.budgets.family import Family
from validators.llamafactory.batches.composition import ABSENT, Kinds, Part, RowKinds, compose
from validators.llamafactory.batches.member import Member
from validators.llamafactory.batches.replay import MOST_KINDS, BatchReplay, RowId, possible, replayed
from validators.llamafactory.batches.sampler import Sampling, evaluating, sampling_of
from validators.model import Outcome
from validators.replay.arguments import Arguments
from validators.rules.rule import BatchView, RunView
from validators.rules.yaml_view import arguments_of
from validators.sources.splits import takes_all
from validators.sources.target import DatasetPlan
from validators.tally import Tally

GONE = frozenset([Outcome.DROPPED, Outcome.CRASH_LOAD])
"""Outcomes of rows that no batch has."""


@dataclass(slots=True)
class BatchGather:
    """Collects of each row what decides how it is collated, and follows the run and its evaluations with it.

    processes: of the run, in all. plugins: whether the trainer runs with this project's plugins, as `curate train` runs
    it.
    """

    run: RunView
    family: Family | None
    processes: int
    plugins: bool
    kinds: Kinds = field(default_factory=Kinds)
    rows: dict[int, RowKinds] = field(default_factory=dict)
    """By the dataset's place in the plan."""
    numbers: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """The stretches of row numbers that were seen of each."""
    evaluated: list[int] = field(default_factory=list)
    """The datasets to evaluate with, by their place in the plan."""
    unseen: set[str] = field(default_factory=set)
    """Why the order cannot be known, from what was seen of the rows."""
    current: RowKinds | None = None
    at: int = 0

    @property
    def packs(self) -> bool:
        """Whether rows are packed."""
        settings = self.run.settings
        return settings.packing or settings.neat_packing

    def begin(self, number: int, plan: DatasetPlan) -> None:
        """The rows that follow are of this dataset of the plan."""
        self.at = number
        self.current = None
        if self.family is None or not self.family.joins:
            return
        if plan.evaluates:
            self.evaluated.append(number)
        self.current = self.rows[number] = RowKinds()
        self.numbers[number] = []
        if plan.num_samples is not None:
            self.unseen.add(f"num_samples of {plan.entry.name} draws rows")
        elif not takes_all(plan.parts) and len(plan.parts) > 1:
            self.unseen.add(f"the split of {plan.entry.name} joins several parts")

    def see(self, view: BatchView) -> None:
        """Take a batch's rows in."""
        if self.current is None or not view.batch.rows.height:
            return
        numbers = view.batch.rows["row"]
        first, base = int(numbers[0]), len(self.current.kinds)
        self.numbers[self.at].append((first, first + len(numbers)))
        self.current.kinds.extend([ABSENT] * len(numbers))
        self.current.tokens.extend([0] * (len(numbers) if self.packs else 0))
        for budget in view.budgets:
            at = base + budget.row - first
            self.current.kinds[at] = self.kinds.number(budget.member)
            if self.packs and budget.exact:
                self.current.tokens[at] = budget.kept.tokens

    def replay(self, tallies: Sequence[Tally]) -> tuple[BatchReplay, ...]:
        """What becomes of the batches of the training and of its evaluations; nothing where they do not matter.

        tallies: the outcomes of each dataset's rows by themselves.
        """
        arguments = arguments_of(self.run)
        if self.family is None or not self.rows or not arguments.among("stage", "sft") or not arguments.on("do_train"):
            return ()
        unknown = self.leave_out(tallies) or self.untold(arguments)
        sampling = sampling_of(arguments, self.processes)
        if isinstance(sampling, str):
            unknown = unknown or sampling
            sampling = Sampling(batch=arguments.whole("per_device_train_batch_size", 8), processes=self.processes)
        trained = [number for number in self.rows if number not in self.evaluated]
        found = [self.follow(self.family, trained, sampling, Part.LEFT, unknown)]
        if arguments.evaluates and not arguments.on("predict_with_generate"):
            sampling = evaluating(arguments, sampling)
            each = [[number] for number in self.evaluated] if arguments.on("eval_on_each_dataset") else [self.evaluated]
            parts = [(trained, Part.HELD_OUT), *((numbers, Part.WHOLE) for numbers in each)]
            found += [self.follow(self.family, numbers, sampling, part, unknown) for numbers, part in parts]
        return tuple(found)

    def follow(
        self, family: Family, datasets: Sequence[int], sampling: Sampling, part: Part, unknown: str
    ) -> BatchReplay:
        """The batches of these datasets, or of a part of them; unknown: why their order is not known."""
        arguments, evaluates = arguments_of(self.run), part is not Part.LEFT
        if not datasets or (part is Part.HELD_OUT and not arguments.holds_out):
            return BatchReplay(evaluates=evaluates)
        counts = self.counts(datasets)
        if self.processes > 1:  # rows come again where a process has no batch left
            counts = [(member, count + 1) for member, count in counts]
        risk = possible(unknown, counts, sampling.batch, self.packs, family.batch_fault)
        risk = replace(risk, plugins=self.plugins, evaluates=evaluates)
        if unknown or (risk.possible is None and len(counts) <= MOST_KINDS):
            return risk
        capacity = self.run.settings.effective_cutoff if self.packs else 0
        composition = compose([self.rows[number] for number in datasets], self.kinds, arguments, capacity, part)
        if isinstance(composition, str):
            return replace(risk, unknown=composition)
        identify = Numbered({number: self.numbers[number] for number in datasets})
        found = replayed(
            composition, self.kinds, sampling, family.batch_fault, identify, lambda fault: not risk.repairs(fault)
        )
        return replace(risk, bad=found.bad, unknown=found.unknown, epochs=found.epochs)

    def untold(self, arguments: Arguments) -> str:
        """Why the order cannot be known, but for the sampler; "" where it can."""
        plan = self.run.plan
        unread = (*plan.passed_over, *(item.name for item in plan.undefined), *(item.name for item in plan.bad_entries))
        if unread:
            return f"{', '.join(unread)}: not read here"
        if arguments["tokenized_path"]:
            return "tokenized_path: the rows may be others than those of the datasets"
        return "; ".join(sorted(self.unseen))

    def leave_out(self, tallies: Sequence[Tally]) -> str:
        """Take out the rows that no batch has; why the order is not known for want of one, "" where it is."""
        import numpy as np

        unknown = set()
        for number, rows in self.rows.items():
            tally = tallies[number]
            numbers = np.concatenate([np.arange(0), *(np.arange(*stretch) for stretch in self.numbers[number])])
            gone = {row: outcome for row, (_, outcome) in tally.fates.items() if outcome in GONE}
            for at in np.searchsorted(numbers, np.array(sorted(gone), dtype=np.int64)).tolist():
                rows.kinds[at] = ABSENT
            absent = np.frombuffer(rows.kinds, dtype=np.uint32) == ABSENT
            if tally.stopped is not None or Outcome.CRASH_LOAD in gone.values():
                unknown.add("the run stops before its first batch")
            if int(absent.sum()) > len(gone):
                unknown.add("some rows are not read")
        return "; ".join(sorted(unknown))

    def counts(self, datasets: Sequence[int]) -> list[tuple[Member, int]]:
        """Each kind of row that is there, the commonest first, and how many rows are such."""
        import numpy as np

        total = np.zeros(len(self.kinds.members), dtype=np.int64)
        for number in datasets:
            total += np.bincount(np.frombuffer(self.rows[number].kinds, dtype=np.uint32), minlength=len(total))
        order = [int(kind) for kind in np.argsort(-total, kind="stable") if kind != ABSENT and total[kind]]
        return [(self.kinds[kind], int(total[kind])) for kind in order]


class Numbered:
    """Rows by their number over all datasets of one kind, to train on or to evaluate with."""

    def __init__(self, numbers: Mapping[int, Sequence[tuple[int, int]]]) -> None:
        self.stretches = [(dataset, start, stop) for dataset, found in numbers.items() for start, stop in found]
        self.starts = [*accumulate((stop - start for _, start, stop in self.stretches), initial=0)]

    def __call__(self, row: int) -> RowId:
        """The dataset's place in the plan, and the row's number there."""
        at = bisect_right(self.starts, row) - 1
        dataset, start, _ = self.stretches[at]
        return dataset, start + row - self.starts[at]
