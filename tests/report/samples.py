"""Reports made for the formats: none, one, many and several, and texts that try to act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from validators.findings import Finding, Place
from validators.model import Outcome
from validators.report.model import DatasetSummary, Layout, Report
from validators.rules.registry import BY_CODE

ROOT = Path("/srv/project")
HOSTILE = (
    "a|b\\|c `code` ``two`` <b>x</b> &amp; [l](http://x.test) @team #1 *e* _f_ ]]> %0A ::error::x ##[add-mask]y\n"
    "::stop-commands::z\r\n\t\x00\x1b[31m\x7f\x85\u2028\u202eevil\ud800\udc80\ufffe 猫 🐈"
)
HOSTILE_FILE = "dätä/\n::error,|`<b>%41:\x1b\udcff 猫.json"


def finding(
    code: str = "TAG201",
    row: int | None = 3,
    file: str = "data.json",
    dataset: str = "data",
    path: str = "messages[1]",
    found: str = "3 × <image> in the text, 2 entries in images",
    line: int | None = None,
) -> Finding:
    """A finding as the engine would make it for this rule."""
    rule = BY_CODE[code]
    place = Place(row, path, line)
    return Finding(
        code, rule.name, rule.severity, file, dataset, place, found, "as many", "drop the last tag", rule.outcome
    )


def report(findings: Sequence[Finding] = (), target: str = "train.yaml", names: Sequence[str] = ("data",)) -> Report:
    """A report over these findings; every dataset has ten rows, three of them dropped."""
    outcomes = {Outcome.TRAINED: 7, Outcome.DROPPED: 3}
    datasets = tuple(DatasetSummary(name, 10, outcomes) for name in names)
    return Report(target, tuple(findings), datasets, "LLaMA-Factory 0.9.5", "qwen2_vl", 2048)


def layout(several: bool = False) -> Layout:
    """As the command line makes it in ROOT."""
    return Layout(ROOT, several=several)


def many(count: int, files: int = 1, code: str = "TAG201") -> list[Finding]:
    """Findings in different rows, spread over files."""
    return [finding(code, row, f"data{row % files}.json", line=row + 1) for row in range(count)]


HOSTILE_FINDING = finding(file=HOSTILE_FILE, dataset=HOSTILE, path=HOSTILE, found=HOSTILE)
WHOLE_FILE = finding("FRM001", None, path="", found="no rows")
CONFIG = finding("CFG101", None, "train.yaml", "", "lerning_rate", "unknown key")
NOTE = finding("BUD002", None, path="", found="2 rows not counted")
WARNING = finding("DSI301", None, "dataset_info.json", "data", "columns.imges")

CASES: dict[str, list[Report]] = {
    "no report": [],
    "no finding": [report()],
    "one": [report([finding()])],
    "notes only": [report([NOTE])],
    "no dataset": [report([CONFIG], names=())],
    "many": [report([CONFIG, WHOLE_FILE, NOTE, WARNING, *many(60, 3)], names=("data", "more"))],
    "several": [report([finding()], "a.yaml"), report([finding(), WARNING], "b.yaml"), report([], "c.yaml")],
    "hostile": [report([HOSTILE_FINDING, HOSTILE_FINDING], HOSTILE, [HOSTILE])],
    "hostile, unknown dataset": [report([HOSTILE_FINDING], HOSTILE_FILE)] * 2,
}


def tally(reports: Sequence[Report]) -> Counter[str]:
    """Findings by code, what a later target repeats left out."""
    seen: dict[Finding, None] = {}
    counts: Counter[str] = Counter()
    for each in reports:
        counts.update(one.code for one in each.findings if one not in seen)
        seen.update(dict.fromkeys(each.findings))
    return counts
