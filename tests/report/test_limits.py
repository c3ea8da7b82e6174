"""Services refuse what is too long; nothing that is left out goes unsaid."""

from __future__ import annotations

import gzip
import hashlib
import json
from xml.etree import ElementTree as ET

from tests.report.samples import finding, layout, many, report
from tests.report.sarif_shape import conform
from validators.report import github, markdown, sarif
from validators.report.escaping import clipped
from validators.report.formats import BY_NAME


def test_findings_of_a_kind_are_one_annotation_and_one_result() -> None:
    """30,000 findings of one rule in one file are one line for GitHub and one SARIF result, with their count."""
    reports = [report(many(30_000))]
    command, last = BY_NAME["github"].render(reports, layout()).splitlines()
    assert "::30000 findings, rows 0, 1, 2, 3, 4 …%0A" in command and last == "Findings: 30000, annotations: 1."
    text = BY_NAME["sarif"].render(reports, layout())
    (result,) = json.loads(text)["runs"][0]["results"]
    assert result["occurrenceCount"] == 30_000 and len(text) < 20_000
    (case,) = ET.fromstring(BY_NAME["junit"].render(reports, layout()).encode()).iter("testcase")
    assert (case[0].text or "").endswith("… 29950 more")


def test_sarif_keeps_the_gravest_25_000_results_and_says_how_many_are_missing() -> None:
    """One finding in each of 30,000 files: errors stay, warnings go, a notification counts them."""
    warnings = [finding("DSI301", row, f"data{row}.json") for row in range(20_000)]
    errors = [finding("TAG201", row, f"data{row}.json") for row in range(10_000)]
    value = json.loads(BY_NAME["sarif"].render([report([*warnings, *errors])], layout()))
    conform(value)
    (run,) = value["runs"]
    assert len(run["results"]) == sarif.MOST_RESULTS
    assert sum(result["level"] == "error" for result in run["results"]) == 10_000
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("5000 more results are left out")


def test_sarif_stays_under_10_mb_of_gzip() -> None:
    """Texts that do not compress cost results, not the upload."""
    noise = [hashlib.shake_128(str(row).encode()).hexdigest(450) for row in range(25_000)]
    findings = [finding(row=row, file=f"data{row}.json", found=text) for row, text in enumerate(noise)]
    text = BY_NAME["sarif"].render([report(findings)], layout())
    (run,) = json.loads(text)["runs"]
    assert len(gzip.compress(text.encode())) <= sarif.MOST_GZIP_BYTES
    kept, words = len(run["results"]), run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert 10_000 < kept < 25_000 and words.startswith(f"{25_000 - kept} more")


def test_summaries_and_comments_are_cut_at_whole_lines() -> None:
    """A step summary holds 1 MiB, a comment 64 KiB, what is already there counted; the cut is named."""
    reports = [report([finding()], target=f"train{number}.yaml") for number in range(5_000)]
    summary = github.step_summary(reports, layout())
    comment = BY_NAME["markdown"].render(reports, layout())
    assert len(summary.encode()) <= 1 << 20 and summary.endswith(github.SUMMARY_NOTICE)
    assert len(comment.encode()) <= 65_536 and comment.endswith(markdown.NOTICE)
    assert len(github.step_summary(reports, layout(), 3000).encode()) <= 3000
    assert github.step_summary(reports, layout(), 0) == ""
    assert clipped("é\n" * 10, 20, "…\n") == "é\n" * 5 + "…\n"


def test_long_texts_are_cut() -> None:
    """A finding that quotes a megabyte does not make a megabyte of a result."""
    reports = [report([finding(found="x" * 1_000_000, path="y" * 1_000_000)])]
    for name in ("github", "gitlab", "sarif", "junit", "markdown"):
        assert len(BY_NAME[name].render(reports, layout())) < 20_000
