"""A finding is the same finding tomorrow, wherever its row has moved."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from tests.report.samples import ROOT, finding, layout, many, report
from validators.findings import Finding
from validators.report.fingerprints import digest, fingerprints
from validators.report.formats import BY_NAME


def moved(findings: list[Finding]) -> list[Finding]:
    """The same faults after their rows were shuffled and ten rows were put before them."""
    rows = [each.place.row for each in findings]
    shuffled = random.Random(5).sample(findings, len(findings))
    return [
        replace(each, place=replace(each.place, row=(row or 0) + 10, line=(row or 0) + 11))
        for each, row in zip(shuffled, rows, strict=True)
    ]


FINDINGS = [*many(40, 2), *(finding(row=row, found=f"{row} tags") for row in range(50, 60)), *many(5, code="TRN202")]


def test_fingerprints_survive_moved_rows() -> None:
    """Rows shuffled and shifted: the same set of fingerprints, of single findings and of SARIF results."""
    assert set(fingerprints(FINDINGS, ROOT)) == set(fingerprints(moved(FINDINGS), ROOT))

    def marks(findings: list[Finding]) -> set[str]:
        run = json.loads(BY_NAME["sarif"].render([report(findings)], layout()))["runs"][0]
        return {result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]}

    assert marks(FINDINGS) == marks(moved(FINDINGS)) and len(marks(FINDINGS)) == 4


def test_fingerprints_of_different_findings_differ() -> None:
    """Another row, place, rule, file, dataset or text: another fingerprint; a row gone: one fingerprint gone."""
    assert len(set(fingerprints(FINDINGS, ROOT))) == len(FINDINGS)
    first = finding()
    others = [
        first,
        finding(file="other.json"),
        finding(dataset="other"),
        finding(path="messages[2]"),
        finding(code="TAG202"),
        finding(found="other"),
    ]
    marks = {next(fingerprints([each], ROOT)) for each in others}
    assert len(marks) == len(others)
    assert len(set(fingerprints(FINDINGS, ROOT)) - set(fingerprints(FINDINGS[1:], ROOT))) == 1
    assert digest("ab", "c") != digest("a", "bc")


def test_row_numbers_in_words_and_the_way_a_path_is_written_do_not_count() -> None:
    """`also in row 7` may become `also in row 9`; `./data.json` and its absolute path are one file."""
    pairs = [
        (finding(found="first in row 7"), finding(found="first in row 12")),
        (finding(found="rows 1, 2 and 3"), finding(found="rows 4 and 5")),
        (finding(), finding(file=f"{ROOT}/x/../data.json")),
    ]
    for left, right in pairs:
        assert list(fingerprints([left], ROOT)) == list(fingerprints([right], ROOT))
