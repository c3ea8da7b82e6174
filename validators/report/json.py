"""A report as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from validators.findings import as_dict
from validators.report.gates import gate_values
from validators.report.model import Layout, Report


def render_all(reports: Sequence[Report], layout: Layout) -> str:
    """One object where one target was named; a list where several were, however many of
    them were passed over; an empty list where all were."""
    return document([as_object(report) for report in reports], layout)


def document(objects: Sequence[dict[str, object]], layout: Layout) -> str:
    """The objects of all targets as one text."""
    value = objects[0] if objects and not layout.several else objects
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_object(report: Report) -> dict[str, object]:
    """Target, trainer, findings, datasets, cutoff. Keys are stable; new ones may be added."""
    return summary_object(report) | {"findings": [as_dict(finding) for finding in report.findings]}


def summary_object(report: Report) -> dict[str, object]:
    """The same without the findings."""
    return {
        "target": report.target,
        "trainer": report.trainer,
        "environment": report.environment,
        "depth": report.depth,
        "template": report.template,
        "cutoff_len": report.cutoff_len,
        "lowest_cutoff_len": report.lowest_cutoff,
        "cutoff_len_for_percent": {str(advice.percent): advice.cutoff_len for advice in report.cutoffs},
        "largest_without_cut_media": {
            knob.knob: {"current": knob.current, "largest": knob.largest, "unlimited": knob.unlimited}
            for knob in report.knobs
        },
        "rows_in": report.rows_in,
        "rows_reaching_loss": report.rows_reaching,
        "stops_before_first_step": report.stops,
        "batches": report.batches or None,
        "errors": report.errors,
        "warnings": report.warnings,
        "datasets": [
            {
                "name": dataset.name,
                "rows": dataset.rows,
                "reaching": dataset.reaching,
                "outcomes": {outcome.value: count for outcome, count in dataset.outcomes.items()},
                "rows_counted": dataset.counted,
                "tokens": dataset.tokens,
                "media_tokens": dataset.media_tokens,
                "supervised_tokens": dataset.supervised,
                "longest_row": dataset.longest_row,
                "longest_row_tokens": dataset.longest,
            }
            for dataset in report.datasets
        ],
        **gate_values(report),
    }


def row_lines(report: Report) -> Iterator[str]:
    """A JSON line for each row whose prediction was kept: target, dataset, row, outcome, tokens and supervised tokens
    after truncation (null where they are not exactly known)."""
    for dataset in report.datasets:
        for row, prediction in sorted((dataset.predictions or {}).items()):
            value = {
                "target": report.target,
                "dataset": dataset.name,
                "row": row,
                "outcome": prediction.outcome.value,
                "tokens": prediction.tokens,
                "supervised_tokens": prediction.supervised,
            }
            yield json.dumps(value, ensure_ascii=False) + "\n"
