"""GitLab's Code Quality report (docs.gitlab.com/ci/testing/code_quality): an array of issues."""

from __future__ import annotations

import json
from collections.abc import Sequence

from validators.findings import Finding, Severity
from validators.model import Outcome
from validators.report.escaping import printable, relative
from validators.report.fingerprints import fingerprints
from validators.report.groups import distinct, where
from validators.report.model import Layout, Report

SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}
STOPPING = {Outcome.CRASH_LOAD: "blocker", Outcome.CRASH_STEP: "critical"}


def render(reports: Sequence[Report], layout: Layout) -> str:
    """One issue a finding; GitLab shows one of those with the same fingerprint, hence they all differ."""
    findings = list(distinct(reports))
    issues = [
        issue(finding, mark, layout)
        for finding, mark in zip(findings, fingerprints(findings, layout.root), strict=True)
    ]
    return json.dumps(issues, indent=2, ensure_ascii=False) + "\n"


def issue(finding: Finding, fingerprint: str, layout: Layout) -> dict[str, object]:
    """One finding. What stops a run is a blocker or critical, other errors are major."""
    severity = SEVERITIES[finding.severity]
    if finding.severity is Severity.ERROR and finding.outcome is not None:
        severity = STOPPING.get(finding.outcome, severity)
    place = where(finding)
    expected = f"; expected {finding.expected}" if finding.expected else ""
    return {
        "description": printable(f"{finding.name}: {f'{place}: ' if place else ''}{finding.found}{expected}"),
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {
            "path": printable(relative(finding.file, layout.root)),
            "lines": {"begin": finding.place.line or 1},
        },
    }
