"""Which cutoff_len cuts nothing, and which media limits a model's longest input forces, by checking the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from train.starter.data import Data, plan_of, with_kinds
from train.starter.model import Model
from validators.engine import CheckOptions, judge, run_of
from validators.findings import Finding, Severity
from validators.report.model import DatasetSummary, Report
from validators.settings import TrainerSettings

STEP = 256
"""cutoff_len is a multiple of it."""
LEAST = 512
UNBOUNDED = 1 << 20
"""Tokens: for a model whose longest input is not known."""
TRIALS = (2048, 4096, 8192, 16384, 32768, 65536)
"""Tried one after another where lengths are only bounded, for want of a tokenizer."""
PIXELS = 1024
"""Limits on pixels are multiples of it."""
CUT = frozenset(["BUD201", "BUD202", "BUD203", "BUD204"])
UNCOUNTED = "BUD002"
KNOBS = ("image_max_pixels", "video_maxlen", "video_max_pixels")
"""Settings to lower, in this order, where media do not fit into the model's longest input."""
MOST_PASSES = 4


@dataclass(frozen=True, slots=True)
class Lowered:
    """A media limit below the trainer's default."""

    value: int
    default: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a check of the rows says of lengths."""

    data: Data
    """Less the datasets of which no row reaches the loss."""
    rows: int
    """Rows to train on that reach the loss."""
    cutoff_len: int
    longest: int | None
    """The lowest cutoff_len that cuts no counted row; None where no row was counted."""
    exact: bool
    """Whether all rows were counted; else lengths are bounds."""
    lowered: Mapping[str, Lowered]
    cut: tuple[Finding, ...]
    """Rows that even the model's longest input cuts."""
    errors: tuple[Finding, ...]
    """Other errors of the data."""


def measure(data: Data, model: Model, asked: frozenset[str], progress: Callable[[str, int], None]) -> Measured:
    """Check the rows under the model's longest input.

    asked: datasets that were named, and are not left out whatever becomes of their rows.
    """
    most = model.positions or UNBOUNDED
    settings = TrainerSettings(template=model.template.name, model=model.name, cutoff_len=most)
    options = CheckOptions(progress=progress)
    report = look(data, settings, options)
    lowered: dict[str, Lowered] = {}
    for _ in range(MOST_PASSES):
        changes = lower(report, settings)
        if not changes:
            break
        for knob, value in changes.items():
            default = getattr(TrainerSettings(), knob)
            lowered[knob] = Lowered(value, default)
        changed: Any = changes
        settings = replace(settings, **changed)
        report = look(data, settings, options)
    lost = [
        summary for summary in report.datasets if summary.rows and not summary.reaching and summary.name not in asked
    ]
    if lost and any(summary.reaching and not summary.evaluates for summary in report.datasets):
        for summary in lost:
            data = data.without(summary.name, why_lost(summary, report))
        data = with_kinds(data)
        report = look(data, settings, options)
    exact = is_counted(report)
    longest = report.lowest_cutoff
    cutoff = most if longest is None else min(rounded(longest), most)
    if not exact:
        cutoff = bound(data, settings, options, most, at_least=longest or 0)
    return Measured(
        data=data,
        rows=sum(summary.reaching for summary in report.datasets if not summary.evaluates),
        cutoff_len=cutoff,
        longest=longest,
        exact=exact,
        lowered=lowered,
        cut=tuple(finding for finding in report.findings if finding.code in CUT),
        errors=tuple(
            finding for finding in report.findings if finding.severity is Severity.ERROR and finding.code not in CUT
        ),
    )


def look(data: Data, settings: TrainerSettings, options: CheckOptions) -> Report:
    """Check the rows; the yaml itself does not exist yet."""
    return judge(run_of(plan_of(data, settings), options), options)


def why_lost(summary: DatasetSummary, report: Report) -> str:
    """The first error of a dataset of which nothing is left."""
    first = next((each for each in report.findings if each.dataset == summary.name and each.outcome is not None), None)
    return f"no row reaches the loss: {first.code} {first.found}" if first is not None else "no row reaches the loss"


def lower(report: Report, settings: TrainerSettings) -> dict[str, int]:
    """The first limit of each modality that keeps its media whole, where it is below what is set; {} for none."""
    changes: dict[str, int] = {}
    for knob in KNOBS:
        advice = next((each for each in report.knobs if each.knob == knob), None)
        kind = knob.partition("_")[0]
        if advice is None or advice.unlimited or any(each.startswith(kind) for each in changes):
            continue
        value = 0 if advice.largest is None else int(advice.largest)
        value = value // PIXELS * PIXELS if knob.endswith("pixels") else value
        if 0 < value < getattr(settings, knob):
            changes[knob] = value
    return changes


def is_counted(report: Report) -> bool:
    """Whether the tokens of every row that reaches the loss are exactly known."""
    return all(summary.counted >= summary.reaching for summary in report.datasets)


def rounded(tokens: int) -> int:
    """The next multiple of STEP."""
    return max(-(-tokens // STEP) * STEP, LEAST)


def bound(data: Data, settings: TrainerSettings, options: CheckOptions, most: int, at_least: int) -> int:
    """The lowest trial under which the bounds by bytes of all uncounted rows fit; else the model's longest input, or
    the highest trial where that is not known."""
    for trial in TRIALS:
        if at_least <= trial < most:
            report = look(data, replace(settings, cutoff_len=trial), options)
            if not any(finding.code == UNCOUNTED or finding.code in CUT for finding in report.findings):
                return trial
    return most if most != UNBOUNDED else TRIALS[-1]
