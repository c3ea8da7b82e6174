"""Every format is what it claims to be, for any findings."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from tests.report.samples import CASES, HOSTILE_FINDING, ROOT, finding, layout, many, report, tally
from tests.report.sarif_shape import conform
from validators.report.escaping import encodable
from validators.report.formats import BY_NAME, FORMATS
from validators.report.statistics import render as statistics

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),line=([1-9]\d*),title=([^,:]+)::(.+)")


def check_json(text: str, case: str) -> None:
    value = json.loads(text)
    assert isinstance(value, list) is (len(CASES[case]) != 1)
    objects = value if isinstance(value, list) else [value]
    assert [len(each["findings"]) for each in objects] == [len(each.findings) for each in CASES[case]]


def check_jsonl(text: str, case: str) -> None:
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    assert text == "" or text.endswith("\n")
    assert [line["code"] for line in lines] == [each.code for one in CASES[case] for each in one.findings]
    assert all(line["target"] for line in lines)


def check_github(text: str, case: str) -> None:
    *commands, last = text.removesuffix("\n").split("\n")
    assert all(COMMAND.fullmatch(line) for line in commands) and "::" not in last
    codes = Counter(match[4].split(" ")[0] for match in map(COMMAND.match, commands) if match)
    assert codes.keys() == tally(CASES[case]).keys()
    assert "\r" not in text and "\x1b" not in text and "##[" not in last


def check_gitlab(text: str, case: str) -> None:
    issues = json.loads(text)
    assert Counter(each["check_name"] for each in issues) == tally(CASES[case])
    for each in issues:
        assert each.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert each["severity"] in ("info", "minor", "major", "critical", "blocker")
        path, begin = each["location"]["path"], each["location"]["lines"]["begin"]
        assert path and not path.startswith("./") and begin >= 1
        assert path.isprintable() and each["description"].isprintable()
    assert len({each["fingerprint"] for each in issues}) == len(issues)


def check_sarif(text: str, case: str) -> None:
    value = json.loads(text)
    conform(value)
    (run,) = value["runs"]
    rules = run["tool"]["driver"]["rules"]
    counts: Counter[str] = Counter()
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and len(result["locations"]) == 1
        counts[result["ruleId"]] += result["occurrenceCount"]
    assert counts == tally(CASES[case]) and len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["help"]["markdown"].count("## ") >= 2 for rule in rules)


def check_junit(text: str, case: str) -> None:
    root = ET.fromstring(text.encode())
    suites = root.findall("testsuite")
    for suite in suites:
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases) > 0
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert len({each.get("name") for each in cases}) == len(cases)
    assert int(root.get("tests", "")) == len(root.findall(".//testcase"))
    assert int(root.get("failures", "")) == len(root.findall(".//failure"))
    bad = any(each.exit_code for each in CASES[case])
    assert bool(int(root.get("failures", ""))) is bad


def check_markdown(text: str, case: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows = sum(token.type == "tr_open" for token in tokens)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == len(lines) - sum(token.type == "table_open" for token in tokens), "every line of a table is its row"
    assert sum(token.type == "heading_open" for token in tokens) == len(CASES[case])
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "code_inline", "html_inline", "strong_open", "strong_close", "softbreak"}
    raw = {child.content for token in tokens for child in token.children or () if child.type == "html_inline"}
    assert raw <= {"<code>", "</code>"}


def check_text(text: str, case: str) -> None:
    assert len(re.findall("^(?:Found .*|All checks passed)[.]$", text, re.MULTILINE)) == len(CASES[case])
    assert not any(line.startswith("::") or not line.isprintable() for line in text.split("\n"))


class Markup(HTMLParser):
    """What of a page could act: addresses, handlers, scripts, styles; and its policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.parts: list[tuple[str, dict[str, str | None], str]] = []
        self.policy = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        assert not any(name.startswith("on") or name == "style" for name in known), (tag, known)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        if tag in ("script", "style"):
            self.parts.append((tag, known, ""))
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None:
            tag, known, before = self.parts[-1]
            self.parts[-1] = (tag, known, before + data)


def check_html(text: str, case: str) -> None:
    """One script and one style, each named by its hash, and data that no browser runs; no address leads outside."""
    page = Markup(text)
    assert all(each.startswith(("#", "data:")) for each in page.addresses)
    style, values, script = page.parts
    assert (style[0], values[1], script[1]) == ("style", {"type": "application/json", "id": "data"}, {})
    for directive, (_, _, body) in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none'; ") and "unsafe" not in page.policy
    known = json.loads(values[2])
    assert [len(each["findings"]["rule"]) for each in known["targets"]] == [len(each.findings) for each in CASES[case]]
    codes = [known["rules"][number]["code"] for each in known["targets"] for number in each["findings"]["rule"]]
    assert Counter(codes) == Counter(each.code for one in CASES[case] for each in one.findings)
    assert all(each.isprintable() for each in known["texts"])
    for target in known["targets"]:
        assert sum(count for _, count in target["rules"]) == len(target["findings"]["rule"])


CHECKS: dict[str, Callable[[str, str], None]] = {
    "text": check_text,
    "json": check_json,
    "jsonl": check_jsonl,
    "github": check_github,
    "gitlab": check_gitlab,
    "sarif": check_sarif,
    "junit": check_junit,
    "markdown": check_markdown,
    "html": check_html,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", CHECKS)
def test_every_format_is_valid_whatever_was_found(name: str, case: str) -> None:
    """No finding, one, many, several targets, texts that try to act: the document is valid UTF-8 and complete."""
    text = encodable(BY_NAME[name].render(CASES[case], layout(len(CASES[case]) > 1)))
    assert text.encode("utf-8").decode() == text
    CHECKS[name](text, case)


def test_every_format_has_its_check() -> None:
    """The table of formats and the table of their checks name the same."""
    assert [each.name for each in FORMATS] == list(CHECKS)


def test_json_of_several_targets_is_a_list_even_when_all_but_one_are_passed_over() -> None:
    """What the command line names decides the type, not what the targets turn out to be."""
    one = [report([finding()])]
    assert isinstance(json.loads(BY_NAME["json"].render(one, layout(several=True))), list)
    assert isinstance(json.loads(BY_NAME["json"].render(one, layout())), dict)


def test_statistics_count_by_rule_most_frequent_first() -> None:
    """Counts fall, equal ones go by code, and the summary follows."""
    text = statistics([report([*many(2, code="TRN202"), *many(12), finding("DSI301"), finding("BUD002")])], layout())
    head, summary = text.split("\n\n")
    assert [line.split()[:2] for line in head.splitlines()] == [
        ["12", "TAG201"],
        ["2", "TRN202"],
        ["1", "BUD002"],
        ["1", "DSI301"],
    ]
    assert "data: 10 rows in → 7 reach the loss (3 dropped)" in summary
    assert statistics([report()], layout()).startswith("data: ")


def test_a_file_outside_the_working_folder_stays_absolute() -> None:
    """Relative where it lies inside, with the file scheme where it does not, and never `./`."""
    paths = ["./a/../data.json", str(ROOT / "data.json"), "../other/x y.json", "/etc/data.json"]
    text = BY_NAME["sarif"].render([report([finding(file=path, row=i) for i, path in enumerate(paths)])], layout())
    found = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in sarif_results(text)]
    inside = {"uri": "data.json", "uriBaseId": "%SRCROOT%"}
    assert found == [inside, inside, {"uri": "file:///srv/other/x%20y.json"}, {"uri": "file:///etc/data.json"}]


def test_a_file_name_that_is_not_utf_8_keeps_its_bytes_in_uris() -> None:
    """Its surrogate is the byte that the name holds."""
    (result,) = sarif_results(BY_NAME["sarif"].render([report([HOSTILE_FINDING])], layout()))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "d%C3%A4t%C3%A4/%0A%3A%3Aerror%2C%7C%60%3Cb%3E%2541%3A%1B%FF%20%E7%8C%AB.json"


def sarif_results(text: str) -> list[dict]:
    return json.loads(text)["runs"][0]["results"]
