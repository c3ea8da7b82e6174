"""SARIF 2.1.0 (OASIS, docs.oasis-open.org/sarif/sarif/v2.1.0), within the limits of GitHub's code scanning.

One run for all targets: GitHub does not take two runs of one tool under one category. One result for each rule and
file, its fingerprint free of rows and lines. Limits: docs.github.com, "SARIF results exceed limits": 25,000 results a
run, 10 MB after gzip.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from validators.findings import Finding, Severity
from validators.report.escaping import printable, uri_reference
from validators.report.fingerprints import kind_fingerprint
from validators.report.groups import Group, distinct, grouped, where
from validators.report.model import Layout, Report
from validators.rules.registry import BY_CODE
from validators.rules.rule import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_RESULTS = 25_000
MOST_GZIP_BYTES = 10_000_000
MOST_RELATED = 10  # further rows that a result points to
PROBLEM_SEVERITIES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "recommendation"}


def render(reports: Sequence[Report], layout: Layout) -> str:
    """A log with one run; results beyond the limits are left out, the gravest kept, and a notification says so."""
    groups = grouped(distinct(reports))
    trainer = reports[0].trainer if reports else ""
    kept = groups[:MOST_RESULTS]
    while True:
        value = log(kept, len(groups) - len(kept), trainer, layout)
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        size = gzip_bytes(text)
        if size <= MOST_GZIP_BYTES or not kept:
            return text
        kept = kept[: len(kept) * MOST_GZIP_BYTES // size * 9 // 10]


def gzip_bytes(text: str) -> int:
    """The size that counts; not measured where the text itself is small enough."""
    raw = text.encode("utf-8")
    return len(raw) if len(raw) <= MOST_GZIP_BYTES else len(gzip.compress(raw, compresslevel=1))


def log(groups: Sequence[Group], left_out: int, trainer: str, layout: Layout) -> dict[str, object]:
    """The whole document."""
    codes = list(dict.fromkeys(group.first.code for group in groups))
    index = {code: number for number, code in enumerate(codes)}
    driver: dict[str, object] = {
        "name": "mmcurate",
        "rules": [descriptor(code, BY_CODE.get(code)) for code in codes],
        **own_version(),
    }
    invocation: dict[str, object] = {"executionSuccessful": True}
    if left_out:
        words = f"{left_out} more results are left out: a run may have {MOST_RESULTS}, its file 10 MB compressed"
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": words}}]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [invocation],
                "results": [result(group, index, trainer, layout) for group in groups],
            }
        ],
    }


def own_version() -> Mapping[str, str]:
    """The version, where the distribution is installed."""
    try:
        return {"version": version("mmcurate")}
    except PackageNotFoundError:
        return {}


def descriptor(code: str, rule: Rule | None) -> dict[str, object]:
    """A rule with its page."""
    if rule is None:
        return {"id": code}
    first = rule.page.split("\n", 1)[0]
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": first},
        "fullDescription": {"text": first},
        "help": {"text": rule.page, "markdown": rule.page},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {
            "tags": [code.rstrip("0123456789"), rule.stage.value],
            "precision": "very-high",
            "problem.severity": PROBLEM_SEVERITIES[rule.severity],
        },
    }


def result(group: Group, index: Mapping[str, int], trainer: str, layout: Layout) -> dict[str, object]:
    """One rule in one file: the first finding in words and as the location, the next ones as related locations."""
    first = group.first
    mark = kind_fingerprint(first, layout.root)
    value: dict[str, object] = {
        "ruleId": first.code,
        "ruleIndex": index[first.code],
        "level": first.severity.value,
        "message": {"text": message(group, trainer)},
        "locations": [location(first, layout)],
        "occurrenceCount": len(group.findings),
        # the one that GitHub reads, then ours under a name of its own
        "partialFingerprints": {"primaryLocationLineHash": f"{mark}:1", "mmcurateRuleAndFile/v1": mark},
    }
    related = related_locations(group.findings[1 : 1 + MOST_RELATED], layout)
    if related:
        value["relatedLocations"] = related
    return value


def message(group: Group, trainer: str) -> str:
    """One paragraph."""
    first = group.first
    headline = group.headline()
    expected = f"; expected {printable(first.expected)}" if first.expected else ""
    outcome = f" → {trainer}: {first.outcome.value}." if first.outcome is not None else ""
    cure = f" Fix: {printable(first.cure)}" if first.cure else ""
    return f"{f'{printable(headline)}: ' if headline else ''}{printable(first.found)}{expected}.{outcome}{cure}"


def related_locations(findings: Iterable[Finding], layout: Layout) -> list[dict[str, object]]:
    """Where else; ids from 1."""
    return [
        {"id": number, "message": {"text": printable(where(finding) or finding.found)}, **location(finding, layout)}
        for number, finding in enumerate(findings, start=1)
    ]


def location(finding: Finding, layout: Layout) -> dict[str, object]:
    """The file and line, and the place in the data's own terms."""
    uri = uri_reference(finding.file, layout.root)
    artifact = {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": "%SRCROOT%"}
    value: dict[str, object] = {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": finding.place.line or 1}}
    }
    place = where(finding)
    if place:
        row = "" if finding.place.row is None else f"{finding.dataset}[{finding.place.row}]"
        name = ".".join(part for part in (row, finding.place.path) if part)
        named = {"name": printable(place), "fullyQualifiedName": printable(name)}
        value["logicalLocations"] = [{**named, "kind": "value" if finding.place.path else "object"}]
    return value
