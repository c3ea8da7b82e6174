"""One finding a line, as JSON: for streams and for jq."""

from __future__ import annotations

import json
from collections.abc import Sequence

from validators.findings import as_dict
from validators.report.model import Layout, Report


def render(reports: Sequence[Report], layout: Layout) -> str:
    """The keys of the JSON report's findings, and the target; nothing at all where nothing was found."""
    return "".join(
        json.dumps({"target": report.target, **as_dict(finding)}, ensure_ascii=False) + "\n"
        for report in reports
        for finding in report.findings
    )
