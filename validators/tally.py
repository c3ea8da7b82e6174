"""What is counted while one dataset passes, and the fate of each of its rows."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from validators.gallery import Gallery
from validators.model import Outcome
from validators.probes.facts import Health
from validators.replay.budget import RowBudget, Skeleton
from validators.report.model import DatasetSummary, RowPrediction
from validators.rules.rule import BatchView, Stage
from validators.sources.batch import Census
from validators.sources.target import DatasetPlan

MAX_SKELETONS = 50_000  # distinct rows with media that advice is computed from: about 50 MB
STAGES = list(Stage)
ENDING = frozenset([Outcome.DROPPED, Outcome.CRASH_STEP, Outcome.CRASH_LOAD])


@dataclass(slots=True)
class Tally:
    """What is counted while one dataset passes."""

    fates: dict[int, tuple[int, Outcome]] = field(default_factory=dict)
    """Rows that do not train whole: the stage that seals it, and the outcome."""
    uncounted: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    tokens: int = 0
    media: int = 0
    supervised: int = 0
    longest: int = 0
    longest_row: int | None = None
    totals: array[int] = field(default_factory=lambda: array("I"))
    """Tokens of each counted row before truncation."""
    skeletons: dict[Skeleton, None] = field(default_factory=dict)
    """Distinct rows with media, at most MAX_SKELETONS."""
    cut_media: bool = False
    stopped: int | None = None
    """The earliest stage at which a fault of the whole file or entry stops the run: the fate of all rows that have not
    ended before."""
    budgets: dict[int, RowBudget] | None = None
    gallery: Gallery | None = None

    def seal(self, row: int, stage: Stage, outcome: Outcome) -> None:
        """What ends a row's way decides, at the earliest stage; else the worst of what is done to it on its way.

        Within one stage the worst outcome counts.
        """
        place = STAGES.index(stage)
        known = self.fates.get(row)
        if known is None:
            self.fates[row] = (place, outcome)
            return
        ends, ended = outcome in ENDING, known[1] in ENDING
        if ends and ended and place != known[0]:
            replaces = place < known[0]
        elif ends is not ended:
            replaces = ends
        else:
            replaces = worse(outcome, known[1])
        if replaces:
            self.fates[row] = (place, outcome)

    def stop(self, stage: Stage, outcome: Outcome | None) -> None:
        """Note a fault of the whole dataset."""
        if outcome is Outcome.CRASH_LOAD:
            place = STAGES.index(stage)
            self.stopped = place if self.stopped is None else min(self.stopped, place)

    def leave_out(self, view: BatchView) -> None:
        """Note rows with media of a form that is not read."""
        rows = view.media.filter(pl.col("health") == Health.EMBEDDED.value)["row"].n_unique()
        if rows and view.run.template is not None:
            self.uncounted["their media are inside the data, in a form that is not read"] += rows
        far = view.media.filter(pl.col("health") == Health.REMOTE.value)["row"].n_unique()
        if far and view.run.template is not None:
            self.uncounted["their media are fetched from the network, which is not done here"] += far

        lists = view.media.filter(pl.col("health") == Health.PLAYLIST.value)["row"].n_unique()
        if lists and view.run.template is not None:
            self.uncounted["their media are playlists of other files, which are not followed here"] += lists

    def fate(self, row: int) -> Outcome:
        """What becomes of a row."""
        place, outcome = self.fates.get(row, (len(STAGES), Outcome.TRAINED))
        if self.stopped is None or (outcome in ENDING and place < self.stopped):
            return outcome
        return Outcome.CRASH_LOAD

    def add(self, budget: RowBudget, cutoff: int) -> None:
        """Count one row's tokens; a bound that fits the cutoff is as good as a count for the row's fate."""
        if self.budgets is not None:
            self.budgets[budget.row] = budget
        if not budget.exact:
            if budget.unknown:
                self.uncounted[budget.unknown] += 1
            elif not budget.error and budget.tokens > cutoff:
                self.uncounted["no tokenizer, and the bound by bytes does not fit cutoff_len"] += 1
            return
        self.counted += 1
        self.totals.append(budget.tokens)
        self.cut_media |= bool(budget.kept.media)
        if budget.skeleton is not None and len(self.skeletons) < MAX_SKELETONS:
            self.skeletons[budget.skeleton] = None
        self.tokens += budget.tokens
        self.media += budget.media
        self.supervised += budget.kept.supervised
        if budget.tokens > self.longest:
            self.longest, self.longest_row = budget.tokens, budget.row


def worse(left: Outcome, right: Outcome) -> bool:
    """Whether left is worse than right, in the enum's order."""
    order = list(Outcome)
    return order.index(left) > order.index(right)


def summarize(dataset: DatasetPlan, census: Census, tally: Tally) -> DatasetSummary:
    """Rows by outcome. A fault of the whole file or entry that stops loading is every row's fate."""
    outcomes = Counter(tally.fate(row) for row in tally.fates)
    outcomes[Outcome.TRAINED if tally.stopped is None else Outcome.CRASH_LOAD] += census.rows - len(tally.fates)
    return DatasetSummary(
        dataset.entry.name,
        census.rows,
        {outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        tally.counted,
        tally.tokens,
        tally.media,
        tally.supervised,
        tally.longest,
        tally.longest_row,
        None if tally.budgets is None else predictions(tally, tally.budgets, census),
        dataset.evaluates,
        () if tally.gallery is None else tally.gallery.rows(tally.fate),
    )


def predictions(tally: Tally, budgets: dict[int, RowBudget], census: Census) -> dict[int, RowPrediction]:
    """Each row's fate and, where it is known, its length."""
    result = {}
    for row in chain.from_iterable(range(*stretch) for stretch in census.judged):
        budget = budgets.get(row)
        known = budget is not None and budget.exact
        result[row] = RowPrediction(
            tally.fate(row),
            budget.kept.tokens if budget is not None and known else None,
            budget.kept.supervised if budget is not None and known else None,
        )
    return result
