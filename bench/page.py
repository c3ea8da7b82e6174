"""`python bench/page.py`: the HTML report of 100,000 findings in Chromium; prints a table and writes bench/page.md.

What is measured: writing the page, its size, the time until it is shown, and the longest of several keystrokes in the
search field, from the event to the new layout.
"""

from __future__ import annotations

import platform
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright

from scripts.browser import FLAGS, find_browser
from validators.findings import Finding, Place
from validators.model import Outcome
from validators.report.html.page import render
from validators.report.model import DatasetSummary, Layout, Report
from validators.report.shown import Lengths, ShownRow, ShownTurn
from validators.rules.registry import RULES

COUNT, SHOWN = 100_000, 2_000
QUERIES = ("i", "im", "image", "image 4", "image 42", "row 412", "tag", "tag201 9", "no such text", "")
LIMIT = 100.0  # milliseconds a keystroke
KEYSTROKE = """(query) => {
  const field = document.getElementById("search");
  field.value = query;
  const started = performance.now();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - started;
}"""


def report() -> Report:
    """Findings of all rules over three files, each with words of its own; rows of log-normal lengths."""
    chance = random.Random(1)
    findings = []
    for row in range(COUNT):
        rule = RULES[row % len(RULES)]
        found = f"{row % 97} × <image> in the text, {chance.randrange(10**6)} entries in images"
        place = Place(row, f"messages[{row % 9}]")
        file = f"data/part{row % 3}.json"
        findings.append(
            Finding(rule.code, rule.name, rule.severity, file, "data", place, found, "as many", "drop", rule.outcome)
        )
    lengths: dict[int, int] = {}
    for _ in range(COUNT):
        length = int(chance.lognormvariate(6.5, 0.8)) + 1
        lengths[length] = lengths.get(length, 0) + 1
    rows = tuple(
        ShownRow(
            f"data/part{row % 3}.json",
            row,
            Outcome.TRAINED,
            turns=(ShownTurn("user", f"Question {row}? " * 20), ShownTurn("assistant", f"Answer {row}. " * 40)),
        )
        for row in range(SHOWN)
    )
    outcomes = {Outcome.TRAINED: COUNT // 2, Outcome.DROPPED: COUNT // 2}
    dataset = DatasetSummary("data", COUNT, outcomes, shown=rows, lengths=Lengths(tuple(sorted(lengths.items()))))
    return Report("train.yaml", tuple(findings), (dataset,), "LLaMA-Factory 0.9.5", "qwen2_vl", 2048)


def main() -> int:
    """Measure and report; 1 when a keystroke is past the limit."""
    result = report()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "report.html"
        started = time.perf_counter()
        file.write_text(render([result], Layout(Path(folder))), encoding="utf-8")
        writing = time.perf_counter() - started
        browser = driver.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(file.as_uri())
        loading = time.perf_counter() - started
        nodes = page.evaluate("document.querySelectorAll('*').length")
        slowest = max(page.evaluate(KEYSTROKE, query) for query in QUERIES)
        size = file.stat().st_size / (1 << 20)
        name = f"Chromium {browser.version}"
        browser.close()
    lines = [
        "# The HTML report",
        "",
        f"`python bench/page.py`, Python {platform.python_version()}, {name}: {COUNT} findings, {SHOWN} rows.",
        "",
        "| what | measured |",
        "|---|---|",
        f"| writing the page | {writing:.1f} s |",
        f"| its size | {size:.1f} MiB |",
        f"| loading it | {loading:.2f} s |",
        f"| elements in the document | {nodes} |",
        f"| the slowest of {len(QUERIES)} keystrokes (limit {LIMIT:.0f} ms) | {slowest:.0f} ms |",
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "bench" / "page.md").write_text(text, encoding="utf-8")
    print(text)
    return int(slowest > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
