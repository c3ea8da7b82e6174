"""One case through both: `check` predicts, the oracle tells, and every row is held against its own truth."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agreement.faults import TEXTS, Entry, Row, Scene, entry_for
from tests.agreement.media_factory import Stock
from tests.agreement.oracle import Family, Oracle, Truth, make_family
from tests.agreement.strategies import EDGE, Case, Plan, kinds_of, realise, with_cutoff
from validators.engine import CheckOptions, check
from validators.findings import Severity
from validators.model import Outcome
from validators.report.model import REACHING, Report, RowPrediction


@dataclass(frozen=True)
class Verdict:
    """One row: its truth, what was said of it, and the rules that spoke of the row (by severity) and of the file."""

    family: str
    purpose: str
    entry_fault: str | None
    faults: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]
    row: Row
    entry: Entry
    truth: Truth
    predicted: RowPrediction | None
    said: str
    """Why nothing was predicted, where nothing was."""
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    file_errors: tuple[str, ...]
    """Of the whole file; where it fails to load, also those that place the cause in a row."""
    file_failed: bool
    """The file as a whole did not load, whatever this row is like."""

    @property
    def agrees(self) -> bool:
        """Same outcome, and the same counts: a row that reaches the loss must be counted, any count must be right."""
        if self.predicted is None or self.predicted.outcome is not self.truth.outcome:
            return False
        return not self.miscounted

    @property
    def miscounted(self) -> bool:
        """Tokens or supervised tokens differ, on a row whose outcome agrees."""
        if self.predicted is None or self.predicted.outcome is not self.truth.outcome or self.truth.tokens is None:
            return False
        counts = (self.predicted.tokens, self.predicted.supervised)
        if counts == (None, None) and self.truth.outcome not in REACHING:
            return False
        return counts != (self.truth.tokens, self.truth.supervised)

    @property
    def harmed(self) -> bool:
        """Whether the row does not train whole as it is seen."""
        return self.truth.outcome is not Outcome.TRAINED

    @property
    def caught(self) -> tuple[str, ...]:
        """The rules of severity error that announced the harm."""
        # what is wrong with the whole file excuses no silence about one row of it
        return self.errors if self.errors or not (self.file_failed or self.entry_fault) else self.file_errors

    @property
    def false_alarm(self) -> bool:
        """An error about a row that trains unharmed."""
        return not self.harmed and bool(self.errors)

    @property
    def cause(self) -> str:
        """Rows with the same cause are listed together."""
        if self.predicted is None and self.said.startswith("check raised"):
            return re.sub(r"\d+", "N", self.said)
        predicted = self.predicted.outcome.value if self.predicted else f"nothing ({self.said})"
        what = f"other counts ({self.family})" if self.miscounted else predicted
        because = self.entry_fault or "+".join(self.faults) or "sound row"
        if self.file_failed:
            because = f"whole file: {re.sub(r'/[^ ]*/|[0-9]+', '', self.truth.error)[:90]}"
        return f"{self.truth.outcome.value} but {what} [{because}]"

    def describe(self, width: int = 700) -> str:
        """Everything needed to see the disagreement, on a few lines."""
        row = json.dumps(self.row, ensure_ascii=True)
        entry = f"\n    entry {json.dumps(self.entry)}" if self.entry_fault else ""
        return (
            f"{self.family} {dict(self.settings)} faults={list(self.faults)} entry={self.entry_fault}\n"
            f"    truth     {self.truth.outcome.value} {self.truth.tokens}/{self.truth.supervised} {self.truth.error}\n"
            f"    predicted {self.predicted or self.said}\n"
            f"    rules     {' '.join(self.errors)} | {' '.join(self.warnings)} | file {' '.join(self.file_errors)}"
            f"{entry}\n"
            f"    row       {row if len(row) <= width else row[:width] + ' … ' + str(len(row))}"
        )


class Arena:
    """Families made once, and a folder to work in."""

    def __init__(self, stock: Stock, work: Path) -> None:
        self.stock, self.work = stock, work
        self.families: dict[str, Family] = {}
        self.count = 0

    def family(self, name: str) -> Family:
        """A family, made at its first use."""
        if name not in self.families:
            self.families[name] = make_family(name, self.work / "models" / name, TEXTS)
        return self.families[name]

    def run(self, plan: Plan) -> list[Verdict]:
        """Both sides of one case."""
        return self.try_case(realise(plan, Scene(self.stock, kinds_of(plan.family))))

    def try_case(self, case: Case) -> list[Verdict]:
        """The same of a case that is made already."""
        self.count += 1
        folder = self.work / f"case{self.count}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            if case.plan.aim is not None:
                case = Case(self.aimed(case, folder), case.rows, case.faults, case.entry)
            return self.compare(case, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def aimed(self, case: Case, folder: Path) -> Plan:
        """The plan with its limit near an edge of one row; unchanged where no row can be encoded."""
        rng = random.Random(case.plan.aim)
        settings = dict(case.plan.settings) | {"cutoff_len": 1_000_000, "media_dir": str(self.stock.folder)}
        self.write(case, folder)
        oracle = Oracle(self.family(case.plan.family), folder, settings)
        examples, _ = oracle.load("data")
        order = list(examples or ())
        rng.shuffle(order)
        for example in order[:8]:
            try:
                edges = [edge for edge in oracle.edges(example) if edge < 6000]
            except Exception:
                continue
            if edges:
                return with_cutoff(case.plan, max(rng.choice(edges) + rng.randint(-EDGE, EDGE), 8))
        return with_cutoff(case.plan, dict(case.plan.settings)["cutoff_len"])

    def write(self, case: Case, folder: Path) -> None:
        """The data file and dataset_info.json."""
        lines = "".join(json.dumps(row) + "\n" for row in case.rows)
        text = lines if case.plan.jsonl else json.dumps(list(case.rows))
        (folder / case.entry["file_name"]).write_text(text, encoding="utf-8")
        (folder / "dataset_info.json").write_text(json.dumps({"data": case.entry}), encoding="utf-8")

    def compare(self, case: Case, folder: Path) -> list[Verdict]:
        """Predict, judge, pair up."""
        plan = case.plan
        self.write(case, folder)
        family = self.family(plan.family)
        settings = dict(plan.settings) | {"media_dir": str(self.stock.folder)}
        train = {"stage": "sft", "template": family.template, "model_name_or_path": str(family.folder)}
        train |= {"dataset": "data", "dataset_dir": str(folder), "output_dir": "out"} | settings
        (folder / "train.yaml").write_text(json.dumps(train), encoding="utf-8")
        report: Report | None = None
        try:
            report = check(folder / "train.yaml", CheckOptions(keep_rows=True))
            said = "no prediction"
        except Exception as error:
            said = f"check raised {type(error).__name__}: {error}"[:200]
        truths = Oracle(family, folder, settings).judge_all("data")
        if not isinstance(truths, str) and len(truths) != len(case.rows):
            # pandas, tried when Arrow gives up, reads a lone object of json lines as a table of its lists
            crashed = [truth for truth in truths if truth.outcome is Outcome.CRASH_LOAD]
            assert crashed, f"{len(case.rows)} rows written, {len(truths)} loaded and none of them refused"
            truths = f"{len(truths)} rows made of {len(case.rows)}: {crashed[0].error}"
        return self.pair(case, truths, report, said)

    def pair(self, case: Case, truths: list[Truth] | str, report: Report | None, said: str) -> list[Verdict]:
        """Each row with its truth and its prediction."""
        plan, error = case.plan, truths if isinstance(truths, str) else ""
        verdicts = []
        for number, (row, faults) in enumerate(zip(case.rows, case.faults, strict=True)):
            truth = Truth(Outcome.CRASH_LOAD, error=error) if isinstance(truths, str) else truths[number]
            verdicts.append(
                Verdict(
                    plan.family,
                    plan.purpose,
                    plan.entry_fault,
                    faults,
                    plan.settings,
                    row,
                    case.entry,
                    truth,
                    prediction(report, number),
                    said,
                    codes(report, number, Severity.ERROR),
                    codes(report, number, Severity.WARNING),
                    stopping(report) if error else codes(report, None, Severity.ERROR),
                    bool(error),
                )
            )
        return verdicts

    def alone(self, verdict: Verdict, row: Row) -> Verdict:
        """The verdict on another row under the same settings, in a file of its own."""
        plan = Plan(verdict.family, verdict.purpose, (), verdict.settings, verdict.entry_fault)
        entry = verdict.entry | {"file_name": "data.json"} if verdict.entry_fault else entry_for([row])
        return self.try_case(Case(plan, (row,), (verdict.faults,), entry))[0]

    def shrink(self, verdict: Verdict, tries: int = 60) -> Verdict:
        """A smaller row with the same pair of outcomes, found by leaving out turns, keys and words."""
        best = self.alone(verdict, verdict.row)
        if not same(best, verdict):
            return verdict  # it takes the other rows of the file
        waiting = smaller(best.row)
        while tries > 0 and (row := next(waiting, None)) is not None:
            tries -= 1
            found = self.alone(verdict, row)
            if same(found, verdict):
                best, waiting = found, smaller(row)
        return best


def same(left: Verdict, right: Verdict) -> bool:
    """Whether two verdicts show the same disagreement."""

    def shown(verdict: Verdict) -> tuple[Outcome, Outcome | None, bool]:
        return verdict.truth.outcome, verdict.predicted and verdict.predicted.outcome, verdict.miscounted

    return not left.agrees and shown(left) == shown(right)


def smaller(row: Row) -> Iterator[Row]:
    """Rows with a pair of turns, a turn, a key or half of a turn's words less."""
    messages = row.get("messages")
    if isinstance(messages, list):
        for width in (2, 1):
            for at in range(len(messages) - width + 1) if len(messages) > width else ():
                yield row | {"messages": messages[:at] + messages[at + width :]}
    for key in row:
        if key != "messages":
            yield {name: value for name, value in row.items() if name != key}
        if isinstance(row[key], list) and key != "messages" and len(row[key]) > 1:
            yield row | {key: row[key][1:]}
            yield row | {key: row[key][:-1]}
    for at, turn in enumerate(messages if isinstance(messages, list) else ()):
        text = turn.get("content") if isinstance(turn, dict) else None
        if isinstance(text, str) and len(text) > 3:
            middle = len(text) // 2
            for part in (text[:middle], text[middle:]):
                yield row | {"messages": [*messages[:at], turn | {"content": part}, *messages[at + 1 :]]}


def prediction(report: Report | None, row: int) -> RowPrediction | None:
    """What the report says of a row; of a file that it could not read, that loading stops."""
    if report is None:
        return None
    for dataset in report.datasets:
        if dataset.predictions is not None and row in dataset.predictions:
            return dataset.predictions[row]
    stops = any(item.outcome is Outcome.CRASH_LOAD and item.place.row is None for item in report.findings)
    return RowPrediction(Outcome.CRASH_LOAD, None, None) if stops else None


def codes(report: Report | None, row: int | None, severity: Severity) -> tuple[str, ...]:
    """The rules that spoke of this row; of the whole file, for None."""
    found = report.findings if report is not None else ()
    return tuple(sorted({item.code for item in found if item.severity is severity and item.place.row == row}))


def stopping(report: Report | None) -> tuple[str, ...]:
    """The rules that say that loading stops, wherever in the file they place it."""
    found = report.findings if report is not None else ()
    stops = (item for item in found if item.severity is Severity.ERROR and item.outcome is Outcome.CRASH_LOAD)
    return tuple(sorted({item.code for item in stops}))


def causes(verdicts: Iterable[Verdict]) -> Counter[str]:
    """Disagreements by cause, most frequent first."""
    return Counter(verdict.cause for verdict in verdicts if not verdict.agrees)


def account(verdicts: list[Verdict], most: int = 40) -> str:
    """How many rows disagree, grouped by cause, with one example of each."""
    wrong = [verdict for verdict in verdicts if not verdict.agrees]
    first: dict[str, Verdict] = {}
    for verdict in wrong:
        first.setdefault(verdict.cause, verdict)
    lines = [f"{len(wrong)} of {len(verdicts)} rows disagree"]
    for cause, count in causes(verdicts).most_common(most):
        lines.append(f"  {count} × {cause}\n    {first[cause].describe()}")
    return "\n".join(lines)
