"""Entries of dataset_info.json mended: one mend for each entry at a time, judged by a check of all their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from curate.fixes.json_edit import CannotEdit, edited
from curate.fixes.json_text import parse
from curate.fixes.protocol import CannotMend, EntryCase, Mend, Row
from curate.fixes.registry import ENTRY_FIXERS, ROW_FIXERS
from curate.fixes.result import Applied, Left
from curate.fixes.session import Look, Session, new_codes
from validators.errors import UsageFault
from validators.findings import Finding
from validators.rules.fixable import Safety
from validators.sources.dataset_info import FILE_NAME
from validators.sources.target import objects

MOST_ROUNDS = 20
SAMPLE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Trial:
    """A mend of an entry that is to be tried."""

    info: str
    case: EntryCase
    mend: Mend

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What is tried, and where."""
        finding = self.case.finding
        return self.info, self.case.name, finding.code + finding.place.path, self.mend.words

    @property
    def words(self) -> str:
        """What is done, and to which entry."""
        return f"{self.case.name}: {self.mend.words}"

    @property
    def code(self) -> str:
        """The rule whose finding it mends."""
        return self.case.finding.code


def mend_entries(session: Session, trusting: bool) -> None:
    """Try mends of all entries together where that works, else one by one.

    trusting: with unsafe fixes, what can be mended in the rows is not held against a mend.
    """
    tried: set[tuple[str, str, str, str]] = set()
    alone = False
    for _ in range(MOST_ROUNDS):
        trials = list(next_trials(session, tried))[: 1 if alone else None]
        if not trials:
            return
        point = session.point()
        try:
            stage(session, trials)
            session.look = session.looked()
            reasons = [harm(session, point[0], trial, trusting) for trial in trials]
        except (CannotEdit, UnicodeDecodeError) as error:
            reasons = [str(error) for _ in trials]
        if not any(reasons):
            session.result.applied += [
                Applied(trial.info, None, trial.code, trial.words, trial.mend.safety) for trial in trials
            ]
            continue
        session.back(point)
        if len(trials) == 1:
            tried.add(trials[0].key)
            trial = trials[0]
            session.result.left.append(Left(trial.info, None, trial.code, f"{trial.words}: {reasons[0]}"))
        alone = True


def next_trials(session: Session, tried: set[tuple[str, str, str, str]]) -> Iterator[Trial]:
    """The next mend of each entry that was not tried yet."""
    busy: set[tuple[str, str]] = set()
    infos: dict[str, Row] = {}
    for finding in session.look.report.findings:
        place = entry_of(session.look, finding)
        if place is None or place in busy or not session.wanted(finding):
            continue
        info, name = place
        if info not in infos:
            infos[info] = read_info(session, info)
        folder = Path(info).parent
        value = infos[info].get(name)
        case = EntryCase(name, value, finding, folder, sample(session.look, name, value, folder))
        mends, why = answers(case)
        allowed = [mend for mend in mends if session.how.unsafe or mend.safety is Safety.SAFE]
        trials = [Trial(info, case, mend) for mend in allowed]
        trial = next((trial for trial in trials if trial.key not in tried), None)
        if trial is not None:
            busy.add(place)
            yield trial
        elif not trials and finding.code not in ROW_FIXERS:
            key = (info, name, finding.code + finding.place.path, "")
            if key not in tried:
                tried.add(key)
                why = "needs --unsafe-fixes" if mends else why
                if why:
                    session.result.left.append(Left(info, None, finding.code, why, bool(mends)))


def answers(case: EntryCase) -> tuple[list[Mend], str]:
    """What the code's fixer says, and why it says no more."""
    mends: list[Mend] = []
    try:
        mends.extend(ENTRY_FIXERS[case.finding.code](case))
    except CannotMend as reason:
        return mends, str(reason)
    return mends, ""


def entry_of(look: Look, finding: Finding) -> tuple[str, str] | None:
    """The dataset_info.json and the name of the entry that a finding is about."""
    if finding.code not in ENTRY_FIXERS:
        return None
    dataset = look.dataset(finding.dataset)
    if dataset is not None:
        return (dataset.info_file, dataset.entry.name) if dataset.info_file is not None else None
    place = finding.place.path
    names = [bad.name for bad in look.run.plan.bad_entries]
    fitting = [name for name in names if place == name or place.startswith(f"{name}.")]
    return (finding.file, max(fitting, key=len)) if fitting and Path(finding.file).name == FILE_NAME else None


def read_info(session: Session, info: str) -> Row:
    """A dataset_info.json as it is now."""
    try:
        value = json.loads(session.space.now(Path(info)).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UsageFault(info, f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 JSON") from error
    return value if isinstance(value, dict) else {}


def sample(look: Look, name: str, value: object, folder: Path) -> tuple[Row, ...]:
    """The first rows of an entry's data."""
    dataset = look.dataset(name)
    named = value.get("file_name") if isinstance(value, Mapping) else value
    file = dataset.files[0] if dataset is not None else folder / named if isinstance(named, str) else None
    if file is None or not file.is_file() or (dataset is None and file.suffix not in (".json", ".jsonl")):
        return ()
    return tuple(islice(objects(file), SAMPLE_ROWS))


def stage(session: Session, trials: list[Trial]) -> None:
    """Write the entries' new values into copies of their files."""
    for info in {trial.info for trial in trials}:
        path = Path(info)
        text = session.space.now(path).read_bytes().decode("utf-8")
        node = parse(text)
        new = {trial.case.name: trial.mend.value for trial in trials if trial.info == info}
        value = {member.key: new.get(member.key, member.node.value) for member in node.members}
        staged = session.space.stage(path)
        staged.write_bytes(edited(text, node, value).encode("utf-8"))
        session.space.adopt(path, staged)


def harm(session: Session, before: Look, trial: Trial, trusting: bool) -> str:
    """Why an entry is no better than before; "" where it is."""
    now = session.look
    finding = trial.case.finding
    same = (finding.code, finding.place, finding.file)
    if any((item.code, item.place, item.file) == same for item in now.report.findings):
        return f"{finding.code} would still be there"
    new = new_codes(before.report, now.report)
    lost = before.reaching - now.reaching
    if lost <= 0 and not (new and now.reaching == before.reaching > 0):
        return ""
    if trusting and session.how.unsafe and new <= ROW_FIXERS.keys():
        return ""  # the rows are mended next
    fewer = f", and {lost} rows fewer would reach the loss" if lost > 0 else ""
    return f"it would bring up {', '.join(sorted(new)) or 'more findings'}{fewer}"
