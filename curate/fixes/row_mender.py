"""Rows mended one finding at a time: a mend is kept only if its finding goes, and nothing worse comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.fixes.media_shop import MediaShop
from curate.fixes.protocol import CannotMend, Case, Mend
from curate.fixes.registry import MEDIA_FIXERS, ROW_FIXERS
from curate.fixes.result import Applied, Left, Result
from validators.engine import Verdict, judge_values
from validators.findings import Finding, Severity
from validators.model import Outcome
from validators.policy import Policy
from validators.probes.cache import ProbeCache
from validators.replay.budget import Budgeter
from validators.rules.fixable import Safety
from validators.rules.registry import BY_CODE
from validators.rules.rule import RunView, Stage
from validators.sources.rows import RawRow
from validators.sources.target import DatasetPlan

MOST_ROUNDS = 30
STAGES = list(Stage)
OUTCOMES = list(Outcome)
Key = tuple[str, str]


@dataclass(slots=True)
class State:
    """A row on its way: its value so far, what is said of it, and what was tried."""

    row: int
    value: object
    verdict: Verdict
    tried: dict[Key, int] = field(default_factory=dict)
    why: dict[Key, str] = field(default_factory=dict)
    harm: dict[Key, str] = field(default_factory=dict)
    """Why the first mend that was tried is no help."""
    unsafe: set[Key] = field(default_factory=set)
    """Findings for which there is nothing but an unsafe mend, which was not asked for."""
    done: list[tuple[Finding, Mend]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowMender:
    """Mends rows of one file; called with a lot of them, it gives the new values."""

    run: RunView
    dataset: DatasetPlan
    file: Path
    """The original, as reports name it."""
    policy: Policy
    unsafe: bool
    shop: MediaShop
    probes: ProbeCache
    budgeter: Budgeter | None
    result: Result

    def __call__(self, rows: Sequence[RawRow]) -> Mapping[int, object]:
        """The rows that change, with their new values."""
        verdicts = self.judge([row.value for row in rows])
        states = [State(row.row, row.value, verdict) for row, verdict in zip(rows, verdicts, strict=True)]
        for _ in range(MOST_ROUNDS):
            trials = [(state, *trial) for state in states if (trial := self.next_trial(state)) is not None]
            if not trials:
                break
            verdicts = self.judge([mend.value for _, _, mend in trials])
            for (state, finding, mend), verdict in zip(trials, verdicts, strict=True):
                settle(state, finding, mend, verdict)
        for state in states:
            self.tell(state)
        return {state.row: state.value for state in states if state.done}

    def judge(self, values: Sequence[object]) -> list[Verdict]:
        """What the rules say of each."""
        return judge_values(self.run, self.dataset, values, self.probes, self.budgeter)

    def next_trial(self, state: State) -> tuple[Finding, Mend] | None:
        """The next mend to try: of the finding at the earliest stage that is not given up."""
        for finding in sorted(state.verdict.findings, key=stage_of):
            key = key_of(finding)
            if key in state.why or not self.policy.reports(finding.code, str(self.file)):
                continue
            mends, reason = self.mends(state, finding)
            allowed = [mend for mend in mends if self.unsafe or mend.safety is Safety.SAFE]
            number = state.tried.get(key, 0)
            if number < len(allowed):
                state.tried[key] = number + 1
                return finding, allowed[number]
            if number == 0 and mends:
                state.unsafe.add(key)
                reason = "needs --unsafe-fixes"
            state.why[key] = state.harm.get(key) or reason or "nothing to be sure of"
        return None

    def mends(self, state: State, finding: Finding) -> tuple[list[Mend], str]:
        """All answers to a finding, and why there are no more."""
        found: list[Mend] = []
        if not isinstance(state.value, Mapping):
            return found, "the row is no object"
        case = Case(state.value, finding, self.dataset.entry, self.dataset.media_dir)
        try:
            found.extend(self.answers(case))
        except CannotMend as reason:
            return found, str(reason)
        return found, ""

    def answers(self, case: Case) -> Iterator[Mend]:
        """What the code's fixer says."""
        code = case.finding.code
        if code in ROW_FIXERS:
            yield from ROW_FIXERS[code](case)
        reason = None
        for fixer in MEDIA_FIXERS.get(code, ()):
            if fixer.safety is Safety.UNSAFE and not self.unsafe:
                yield Mend(
                    case.value, "", Safety.UNSAFE
                )  # says that there is one: making the file would be for nothing
                return
            try:
                yield from self.shop.mends(fixer, case)
                return
            except CannotMend as error:
                reason = reason or error
        if reason is not None:
            raise reason

    def tell(self, state: State) -> None:
        """What was done to the row, and what was left and why."""
        file = str(self.file)
        for finding, mend in state.done:
            self.shop.keep(mend.words, state.value)
            self.result.applied.append(Applied(file, state.row, finding.code, mend.words, mend.safety))
        for finding in state.verdict.findings:
            key = key_of(finding)
            if key in state.why and (finding.code in ROW_FIXERS or finding.code in MEDIA_FIXERS):
                left = Left(file, state.row, finding.code, state.why[key], key in state.unsafe)
                self.result.left.append(left)


def settle(state: State, finding: Finding, mend: Mend, after: Verdict) -> None:
    """Keep a mend that helps; note why another does not."""
    reason = harm(state.verdict, after, finding)
    if reason:
        state.harm.setdefault(key_of(finding), reason)
        return
    state.value, state.verdict = mend.value, after
    state.done.append((finding, mend))
    state.tried.clear()
    state.why.clear()
    state.harm.clear()
    state.unsafe.clear()


def harm(before: Verdict, after: Verdict, finding: Finding) -> str:
    """Why a row is no better than before; "" where it is.

    What the trainer would have met later on the row's way, had the finding not stopped it, is not held against a mend,
    unless it ends the row in a worse way.
    """
    if any(key_of(item) == key_of(finding) for item in after.findings) and count(after, finding) >= count(
        before, finding
    ):
        return f"{finding.code} would still be there"
    known = {item.code for item in before.findings}
    for item in after.findings:
        if item.code not in known and item.severity is not Severity.NOTE and stage_of(item) <= stage_of(finding):
            return f"it would bring up {item.code}: {item.found}"
    if OUTCOMES.index(after.outcome) > OUTCOMES.index(before.outcome):
        worst = next((item.code for item in after.findings if item.outcome is after.outcome), "")
        return f"the row would be {after.outcome.value} ({worst}) instead of {before.outcome.value}"
    return ""


def count(verdict: Verdict, finding: Finding) -> int:
    """Findings of the same rule."""
    return sum(item.code == finding.code for item in verdict.findings)


def key_of(finding: Finding) -> Key:
    """Which finding of a row it is."""
    return finding.code, finding.place.path


def stage_of(finding: Finding) -> int:
    """How early on a row's way its fault strikes."""
    return STAGES.index(BY_CODE[finding.code].stage)
