"""From a target's findings to changed copies of its files: entries first, then columns, rows, and the quarantine.

Each step is judged by a check of what it made, and taken back where it does not help.
"""

from __future__ import annotations

from pathlib import Path

from curate.fixes import paths
from curate.fixes.column_mender import mend_columns
from curate.fixes.entry_mender import mend_entries
from curate.fixes.quarantine import append, quarantine
from curate.fixes.registry import COLUMN_FIXERS, MEDIA_FIXERS, ROW_FIXERS
from curate.fixes.result import Left
from curate.fixes.rewrite import rewrite
from curate.fixes.row_mender import RowMender
from curate.fixes.session import NOT_JSON, ODD_FORM, How, Session, new_codes
from curate.fixes.workspace import Workspace
from validators.engine import CheckOptions, make_budgeter
from validators.rules.registry import BY_CODE
from validators.rules.rule import Scope
from validators.sources.rows import SourceFault
from validators.sources.target import DatasetPlan

MOST_ROUNDS = 10


def mend(target: str, options: CheckOptions, how: How, space: Workspace) -> Session:
    """Mend what can be mended, in copies; `commit` writes them. The caller closes the session's shop."""
    paths.forget()
    session = Session(target, options, how, space)
    try:
        begin = session.point()
        for trusting in (True, False):
            mend_all(session, trusting)
            if session.look.reaching >= begin[0].reaching:
                break
            session.start_over(begin)
        if how.quarantine:
            quarantine(session)
        session.result.left = list(dict.fromkeys(item for item in session.result.left if remains(session, item)))
    except BaseException:
        session.shop.close(discard=True)
        raise
    return session


def mixed(session: Session) -> bool:
    """Whether a column of several types is left."""
    return any(item.code in COLUMN_FIXERS and session.wanted(item) for item in session.look.report.findings)


def remains(session: Session, left: Left) -> bool:
    """Whether a finding that was left is there in the end: later mends may have cured it, or its row may have gone."""
    if any((item.file, item.row) == (left.file, left.row) for item in session.result.moved):
        return False
    findings = session.look.report.findings
    return any(item.code == left.code and left.row in (None, item.place.row) for item in findings)


def mend_all(session: Session, trusting: bool) -> None:
    """Entries, then columns and rows in turn. trusting: mends of entries may count on mends of rows."""
    mend_entries(session, trusting)
    for _ in range(MOST_ROUNDS):
        applied = len(session.result.applied)
        mend_columns(session)
        mend_rows(session)
        # the loader names one column at a time: mended rows can bring it to the next
        if len(session.result.applied) == applied or not mixed(session):
            break


def commit(session: Session, keep_backups: bool) -> list[tuple[Path, Path | None]]:
    """Write, if the files are still as they were read; the files that changed, with their backups.

    Quarantined rows are written first, so that none is ever in no file.
    """
    session.space.verify()
    for path, lines in session.lines.items():
        append(path, lines)
    return session.space.commit(keep_backups)


def mend_rows(session: Session) -> None:
    """Rows with findings that have a fixer, dataset by dataset."""
    for name in dict.fromkeys(dataset.entry.name for dataset in session.look.run.plan.datasets):
        dataset = session.look.dataset(name)
        if dataset is not None:
            mend_dataset(session, dataset)


def mend_dataset(session: Session, dataset: DatasetPlan) -> None:
    """One dataset's rows. All of it is taken back where the loader then stops at what it did not stop at before."""
    result = session.result
    point, used, before = session.point(), set(session.shop.used), len(result.applied)
    for file in dataset.files:
        mend_file(session, dataset, session.space.original(file))
    if len(result.applied) == before:
        return
    session.look = session.looked()
    broken = {code for code in new_codes(point[0].report, session.look.report) if BY_CODE[code].scope is Scope.DATASET}
    if broken and session.look.reaching < point[0].reaching:
        session.back(point)
        session.shop.used = used
        why = f"together with other rows it would bring up {', '.join(sorted(broken))}"
        result.left += [Left(item.file, item.row, item.code, why) for item in result.applied[before:]]
        del result.applied[before:]


def mend_file(session: Session, dataset: DatasetPlan, file: Path) -> None:
    """The rows of one file."""
    name = dataset.entry.name
    rows = {
        item.place.row
        for item in session.look.report.findings
        if item.code in ROW_FIXERS.keys() | MEDIA_FIXERS.keys()
        and (item.dataset, item.file) == (name, str(file))
        and session.wanted(item)
    }
    if not rows:
        return
    if dataset.kind != "json":
        session.result.notices.append(f"{file} {NOT_JSON}")
        return
    run = session.look.run
    mender = RowMender(
        run,
        dataset,
        file,
        session.policy,
        session.how.unsafe,
        session.shop,
        session.probes,
        make_budgeter(run, keep_skeletons=False),
        session.result,
    )
    applied = len(session.result.applied)
    staged = session.space.stage(file)
    try:
        written = rewrite(session.space.now(file), staged, lambda row: row.row in rows, mender)
    except SourceFault as fault:
        del session.result.applied[applied:]
        session.result.notices.append(f"{file} is not rewritten: it cannot be read to its end ({fault.found})")
        return
    if len(dataset.files) == 1 and written.rows < session.look.rows(name):
        del session.result.applied[applied:]
        session.result.notices.append(f"{file} is not rewritten: {ODD_FORM}")
        return
    refused = written.refused
    kept = [item for item in session.result.applied[applied:] if item.row not in refused]
    lost = [item for item in session.result.applied[applied:] if item.row in refused]
    session.result.left += [Left(item.file, item.row, item.code, refused[item.row or 0]) for item in lost]
    session.result.applied[applied:] = kept
    if kept:
        session.space.adopt(file, staged)
