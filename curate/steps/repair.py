"""`repair`: the rules' fixers on rows, each judged by the rules before it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from curate.fixes.media_shop import MediaShop
from curate.fixes.protocol import CannotMend, Case, MediaFixer, Mend
from curate.fixes.result import Result
from curate.fixes.row_mender import RowMender
from curate.steps.columns import probes
from curate.steps.step import Note, Passed, Surroundings
from curate.steps.tokens import COLUMNS, FORM, chunk_of
from curate.writers.dataset_info import entry
from validators.engine import CheckOptions, judge_batch, run_of
from validators.policy import Policy
from validators.rules.rule import RunView
from validators.settings import TrainerSettings
from validators.sources.batch import Census
from validators.sources.dataset_info import parse_entry
from validators.sources.flatten import flatten
from validators.sources.rows import RawRow
from validators.sources.target import CheckPlan, DatasetPlan

HERE = Path("recipe")


@dataclass(frozen=True, slots=True)
class Repair:
    """What `curate fix` does to rows: tags, roles, order of turns, paths. Media files stay as they are.

    A row that cannot be mended stays, for a filter or the check to tell of.
    """

    unsafe: bool = False

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Every row, with a note for each mend."""
        result = Result()
        dataset = DatasetPlan(parse_entry("recipe", entry("recipe", FORM)), None, (HERE,), around.media_root)
        counting = around.counting
        run, budgeter = (counting.run, counting.budgeter) if counting is not None else (untrained(), None)
        # all rows by columns; only those of which the rules have something to say become Python values
        batch = flatten(chunk_of(rows), dataset.entry, Census())
        findings, _ = judge_batch(run, dataset, batch, probes(), budgeter)
        spoken_of = sorted({finding.place.row for finding in findings if finding.place.row is not None})
        if not spoken_of:
            return Passed(rows)
        mender = RowMender(run, dataset, HERE, Policy(), self.unsafe, NoCopies(), probes(), budgeter, result)
        values = rows[spoken_of].select(COLUMNS).to_dicts()
        new = mender([RawRow(number, 0, value) for number, value in zip(spoken_of, values, strict=True)])
        if not new:
            return Passed(rows)
        at = pl.int_range(len(rows), dtype=pl.Int64, eager=True)
        mended = pl.DataFrame(
            [{"at": number, **{name: value[name] for name in COLUMNS}} for number, value in new.items()],  # type: ignore[index]
            schema={"at": pl.Int64, **{name: rows.schema[name] for name in COLUMNS}},
        )
        changed = rows.with_columns(at=at).update(mended, on="at").drop("at").select(rows.columns)
        notes = [
            Note(int(rows["row"][done.row]), "changed", f"{done.code}: {done.words}", done.code)
            for done in result.applied
            if done.row is not None
        ]
        return Passed(changed, notes)


class NoCopies(MediaShop):
    """Makes nothing: a build leaves its sources' folders alone."""

    def mends(self, fixer: MediaFixer, case: Case) -> Iterator[Mend]:
        """None."""
        raise CannotMend("media files are mended by `curate fix`, not in a build")


@lru_cache(maxsize=1)
def untrained() -> RunView:
    """A run of which no train yaml says more: rules that count tokens have nothing to say."""
    return run_of(CheckPlan("recipe", TrainerSettings(), ()), CheckOptions())
