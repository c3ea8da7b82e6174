"""The work on one target: its files as they are now, what the rules say of them, and what was done so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from curate.fixes.media_shop import MediaShop
from curate.fixes.result import Result
from curate.fixes.workspace import Workspace
from validators.engine import CheckOptions, judge, make_run
from validators.findings import Finding, Severity
from validators.policy import Policy
from validators.probes.cache import ProbeCache
from validators.report.model import Report
from validators.rules.rule import RunView
from validators.sources.target import DatasetPlan

NOT_JSON = "is not rewritten, only .json and .jsonl are: mend what it was made from, or write it again as JSON lines"

ODD_FORM = "the loader finds more rows in it than a JSON array or JSON lines would have"


@dataclass(frozen=True, slots=True)
class How:
    """What may be done."""

    unsafe: bool = False
    quarantine: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A check of the files as they are now, nothing left out; findings name the originals."""

    run: RunView
    report: Report

    @property
    def reaching(self) -> int:
        """Rows that reach the loss."""
        return self.report.rows_reaching

    def rows(self, name: str) -> int:
        """Rows that were judged of the dataset of that name."""
        return max((item.rows for item in self.report.datasets if item.name == name), default=0)

    def dataset(self, name: str) -> DatasetPlan | None:
        """The dataset of that name."""
        return next((item for item in self.run.plan.datasets if item.entry.name == name), None)


class Session:
    """What all steps share. `look` is always the newest."""

    def __init__(self, target: str, options: CheckOptions, how: How, space: Workspace) -> None:
        self.target = target
        self.policy = options.policy
        self.options = replace(options, policy=Policy(), keep_rows=False, advise=False, previews=None)
        self.how = how
        self.space = space
        self.result = Result()
        self.shop = MediaShop()
        self.probes = ProbeCache()
        self.lines: dict[Path, list[str]] = {}
        """What is to be added to quarantine files."""
        self.look = self.looked()

    def looked(self) -> Look:
        """Check the files as they are now."""
        options = replace(self.options, instead=self.space.instead)
        run = make_run(self.target, options)
        for dataset in run.plan.datasets:
            self.space.know(dataset.files, home_of(dataset))
        infos = {dataset.info_file for dataset in run.plan.datasets} | {bad.info_file for bad in run.plan.bad_entries}
        self.space.know(Path(info) for info in infos if info is not None)
        report = judge(run, options)
        return Look(run, replace(report, findings=tuple(map(self.space.restored, report.findings))))

    def wanted(self, finding: Finding) -> bool:
        """Whether a finding is reported, and so to be mended."""
        return self.policy.reports(finding.code, finding.file)

    def point(self) -> tuple[Look, Mapping[Path, Path]]:
        """What `back` goes back to."""
        return self.look, self.space.state()

    def back(self, point: tuple[Look, Mapping[Path, Path]]) -> None:
        """Take back what was done since then."""
        self.look, newest = point
        self.space.back(newest)

    def start_over(self, point: tuple[Look, Mapping[Path, Path]]) -> None:
        """Take back all that was done."""
        self.back(point)
        self.result = Result()
        self.shop.used.clear()

    def report(self) -> Report:
        """The newest look, with what the policy reports."""
        return replace(self.look.report, findings=self.policy.applied(self.look.report.findings))


def home_of(dataset: DatasetPlan) -> Path | None:
    """Where to put what is made beside a dataset's files: beside its folder, where a folder is its data."""
    name = dataset.entry.file_name
    if dataset.info_file is None or name is None or not (Path(dataset.info_file).parent / name).is_dir():
        return None
    return (Path(dataset.info_file).parent / name).parent


def new_codes(before: Report, after: Report) -> set[str]:
    """Rules that have findings now and had none, notes aside."""
    serious = {item.code for item in after.findings if item.severity is not Severity.NOTE}
    return serious - {item.code for item in before.findings}
