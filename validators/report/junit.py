"""JUnit XML as CI servers read it: a suite for each dataset, a test case for each rule that found something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from validators.findings import Finding, Severity
from validators.report.escaping import printable, relative
from validators.report.groups import RANK, where
from validators.report.model import Layout, Report

MOST_ALIKE = 50  # findings that a test case spells out
PASSED = "no rule found anything"


def render(reports: Sequence[Report], layout: Layout) -> str:
    """Errors and warnings fail, as they do for the exit code; notes pass and are printed in system-out.

    Only the target's configuration, where that is at fault, has a suite of its own beside those of the datasets. A
    suite without findings has one case that passes, because servers take an empty suite for a run that did not happen.
    """
    root = ET.Element("testsuites", {"name": "curate check"})
    for report in reports:
        root.extend(suites(report, layout))
    for key in ("tests", "failures"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("errors", "0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def suites(report: Report, layout: Layout) -> Iterator[ET.Element]:
    """One for each dataset; first one for what belongs to none."""
    parts: dict[str, list[Finding]] = {dataset.name: [] for dataset in report.datasets}
    elsewhere: list[Finding] = []
    for finding in report.findings:
        parts.get(finding.dataset, elsewhere).append(finding)
    if elsewhere or not parts:
        yield suite(printable(report.target), elsewhere, layout)
    for name, findings in parts.items():
        element = suite(printable(f"{report.target}: {name}" if layout.several else name), findings, layout)
        properties = ET.Element("properties")
        summaries = [dataset for dataset in report.datasets if dataset.name == name]
        for key, value in (
            ("target", printable(report.target)),
            ("rows_in", str(sum(dataset.rows for dataset in summaries))),
            ("rows_reaching_loss", str(sum(dataset.reaching for dataset in summaries))),
        ):
            ET.SubElement(properties, "property", {"name": key, "value": value})
        element.insert(0, properties)
        yield element


def suite(name: str, findings: Sequence[Finding], layout: Layout) -> ET.Element:
    """The cases of one dataset, errors first, and their count."""
    rules: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda each: RANK[each.severity]):
        rules.setdefault(finding.code, []).append(finding)
    cases = [case(name, members, layout) for members in rules.values()]
    cases = cases or [ET.Element("testcase", {"classname": name, "name": PASSED})]
    failures = sum(each.find("failure") is not None for each in cases)
    element = ET.Element(
        "testsuite",
        {"name": name, "tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"},
    )
    element.extend(cases)
    return element


def case(suite_name: str, findings: Sequence[Finding], layout: Layout) -> ET.Element:
    """All findings of one rule: one failure, for some servers read no second one."""
    first = findings[0]
    file = printable(relative(first.file, layout.root))
    title = f"{first.code} {first.name}"
    element = ET.Element("testcase", {"classname": suite_name, "name": title, "file": file})
    text = "\n".join(lines(findings, layout))
    if first.severity is Severity.NOTE:
        ET.SubElement(element, "system-out").text = text
    else:
        count = f"{len(findings)} findings, e.g. " if len(findings) > 1 else ""
        message = f"{count}{printable(first.found)}"
        ET.SubElement(element, "failure", {"type": first.severity.value, "message": message}).text = text
    return element


def lines(findings: Sequence[Finding], layout: Layout) -> Iterator[str]:
    """A line a finding."""
    for finding in findings[:MOST_ALIKE]:
        place = " ".join(part for part in (relative(finding.file, layout.root), where(finding)) if part)
        expected = f"; expected {finding.expected}" if finding.expected else ""
        outcome = f" → {finding.outcome.value}" if finding.outcome is not None else ""
        yield printable(f"{place}: {finding.found}{expected}") + outcome
    if len(findings) > MOST_ALIKE:
        yield f"… {len(findings) - MOST_ALIKE} more"
