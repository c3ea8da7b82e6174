"""Columns of several types mended, over all files of their dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.fixes.columns import ColumnMend, column_mend, kinds_at
from curate.fixes.json_rows import text_rows
from curate.fixes.protocol import CannotMend
from curate.fixes.registry import COLUMN_FIXERS
from curate.fixes.result import Applied, Left
from curate.fixes.rewrite import rewrite
from curate.fixes.session import NOT_JSON, Session, new_codes
from validators.rules.fixable import Safety
from validators.rules.registry import BY_CODE
from validators.rules.rule import Scope
from validators.sources.rows import RawRow, SourceFault
from validators.sources.target import DatasetPlan

MOST_ROUNDS = 20


@dataclass(slots=True)
class Counted:
    """A column's mend as a change of rows, counting them."""

    mend: ColumnMend
    count: int = 0

    def changes(self, row: RawRow) -> bool:
        """Whether the row has the column in another form."""
        return self.mend.apply(row.value) is not row.value

    def change(self, rows: Sequence[RawRow]) -> Mapping[int, object]:
        """The rows' new values."""
        self.count += len(rows)
        return {row.row: self.mend.apply(row.value) for row in rows}


def mend_columns(session: Session) -> None:
    """One column after another; each is judged by a check of the dataset."""
    tried: set[tuple[str, str, str]] = set()
    for _ in range(MOST_ROUNDS):
        findings = (item for item in session.look.report.findings if item.code in COLUMN_FIXERS)
        wanted = (item for item in findings if session.wanted(item))
        finding = next((item for item in wanted if (item.code, item.dataset, item.place.path) not in tried), None)
        if finding is None:
            return
        key = (finding.code, finding.dataset, finding.place.path)
        tried.add(key)
        point = session.point()
        dataset = session.look.dataset(finding.dataset)
        try:
            if dataset is None:
                raise CannotMend("its dataset is not known")
            done = stage(session, dataset, finding.place.path)
            session.look = session.looked()
            if key in {(item.code, item.dataset, item.place.path) for item in session.look.report.findings}:
                raise CannotMend(f"{finding.code} would still be there")
            if rows_worse := {code for code in new_codes(point[0].report, session.look.report) if of_rows(code)}:
                raise CannotMend(f"it would bring up {', '.join(sorted(rows_worse))}")
        except (CannotMend, SourceFault) as reason:
            session.back(point)
            session.result.left.append(Left(finding.file, None, finding.code, str(reason)))
        else:
            for file, counted in done.items():
                words = f"{counted.mend.words}, in {counted.count} row{'' if counted.count == 1 else 's'}"
                session.result.applied.append(Applied(str(file), None, finding.code, words, Safety.SAFE))


def of_rows(code: str) -> bool:
    """Whether a rule looks at rows: these were judged before as well."""
    return BY_CODE[code].scope in (Scope.ROW, Scope.MEDIA)


def stage(session: Session, dataset: DatasetPlan, place: str) -> Mapping[Path, Counted]:
    """Write a column in one form in all files of a dataset; what was done to those that change."""
    files = [session.space.original(file) for file in dataset.files]
    if dataset.kind != "json":
        raise CannotMend(f"{files[0].name} {NOT_JSON}")
    kinds: set[str] = set()
    for file in files:
        for piece in text_rows(session.space.now(file)):
            if piece.row is not None:
                kinds.update(kinds_at(piece.row.value, place))
    mend = column_mend(place, frozenset(kinds), dataset.entry)
    done: dict[Path, Counted] = {}
    for file in files:
        staged = session.space.stage(file)
        counted = Counted(mend)
        written = rewrite(session.space.now(file), staged, counted.changes, counted.change)
        if written.refused:
            raise CannotMend(next(iter(written.refused.values())))
        if counted.count:
            done[file] = counted
            session.space.adopt(file, staged)
    return done
