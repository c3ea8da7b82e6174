"""The HTML report in a real browser: what a reader does with it, and what strangers' data cannot do to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from scripts.broken_demo import write as write_broken_demo
from scripts.browser import FLAGS, find_browser
from tests.report.samples import HOSTILE, HOSTILE_FINDING, finding, layout, report
from validators.engine import CheckOptions, check
from validators.findings import Severity
from validators.lengths import trials
from validators.model import MediaKind, Outcome
from validators.report.html.page import render
from validators.report.model import Report
from validators.report.shown import Lengths, ShownMedium, ShownRow, ShownTurn

playwright = pytest.importorskip("playwright.sync_api")
ACTIVE = (
    "<script>window.hit=1</script>",
    "</script><img src=x onerror=window.hit=2>",
    "<!--<script>",
    "\"'><svg onload=window.hit=3>",
    "javascript:window.hit=4",
    "a\x00b\x1b[31m\u202egnp.exe\u2066\ud800\u2028",
)


@dataclass(slots=True)
class Opened:
    """A page in the browser, and what it did beside being shown."""

    page: playwright.Page
    address: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def shows(self) -> str:
        """The line over the list that says how much is listed."""
        return self.text("#count")


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium: `python scripts/browser.py` installs one")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: playwright.Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens reports, or a page's text; in the end no script has failed, and nothing was asked for."""
    pages: list[Opened] = []

    def open_page(what: Sequence[Report] | str, **options: object) -> Opened:
        file = tmp_path / f"report{len(pages)}.html"
        text = what if isinstance(what, str) else render(what, layout(len(what) > 1))
        file.write_text(text, encoding="utf-8")
        settings = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | options
        one = Opened(browser.new_context(**settings).new_page(), file.as_uri())
        one.page.on("console", lambda message: one.errors.append(message.text))
        one.page.on("pageerror", lambda error: one.errors.append(str(error)))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(one.address)
        pages.append(one)
        return one

    yield open_page
    for one in pages:
        assert not one.errors, one.errors
        assert {each for each in one.requests if not each.startswith("data:")} == {one.address}
        one.page.context.close()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """The broken demo's train yaml and its report."""
    path = write_broken_demo(tmp_path_factory.mktemp("broken"))
    return path, check(path, CheckOptions(previews=300))


def lengths_and_losses(path: Path, cutoff: int) -> tuple[list[int], int]:
    """Each row's tokens after truncation under a cutoff_len, and all supervised tokens: from a check of its own."""
    settings = json.loads(path.read_text()) | {"cutoff_len": cutoff}
    other = path.with_name("other.yaml")
    other.write_text(json.dumps(settings))
    rows = [
        row for each in check(other, CheckOptions(keep_rows=True)).datasets for row in (each.predictions or {}).values()
    ]
    known = [row.tokens for row in rows if row.tokens is not None]
    return known, sum(row.supervised or 0 for row in rows)


def number(text: str) -> int:
    """The first number of a text."""
    return int(text.removeprefix("≈ ").split(" ")[0].replace(",", ""))


def test_the_slider_counts_the_rows_that_a_cutoff_len_would_cut(opened: Open, broken: tuple[Path, Report]) -> None:
    path, result = broken
    whole, _ = lengths_and_losses(path, 1 << 20)
    page = opened([result])
    assert number(page.text("#cut")) == sum(length > result.cutoff_len for length in whole) > 0
    seen = set()
    for value in (0, 130, 400, 700, 1000):
        page.page.locator("#slider").fill(str(value))
        cutoff = int(page.page.input_value("#cutoff"))
        assert number(page.text("#cut")) == sum(length > cutoff for length in whole)
        assert page.page.locator("#slider").get_attribute("aria-valuetext").startswith(f"cutoff_len {cutoff}: ")
        seen.add(number(page.text("#cut")))
    assert len(seen) >= 4


@pytest.mark.parametrize("place", [7, 30, 41])
def test_supervised_tokens_under_a_tried_cutoff_len_are_those_of_a_check(
    opened: Open, broken: tuple[Path, Report], place: int
) -> None:
    path, result = broken
    cutoff = trials(result.cutoff_len)[place]
    page = opened([result])
    page.page.fill("#cutoff", str(cutoff))
    assert not page.text("#loss").startswith("≈")
    assert number(page.text("#loss")) == lengths_and_losses(path, cutoff)[1]
    page.page.fill("#cutoff", str(cutoff + 1))
    low, between = lengths_and_losses(path, cutoff)[1], number(page.text("#loss"))
    assert low <= between <= lengths_and_losses(path, trials(result.cutoff_len)[place + 1])[1]


def test_the_headline_is_the_reports(opened: Open, broken: tuple[Path, Report]) -> None:
    _, result = broken
    page = opened([result])
    summary = page.text("#summary")
    assert f"Rows in\n{result.rows_in}\n" in summary and f"Reach the loss\n{result.rows_reaching}\n" in summary
    assert "would stop before its first step" in summary and "qwen2_omni" in summary
    parts = page.page.locator(".waterfall").all()
    assert [part.locator("h3").inner_text() for part in parts] == [each.name for each in result.datasets]
    for part, dataset in zip(parts, result.datasets, strict=True):
        words = [f"{outcome.value} {count}" for outcome, count in dataset.outcomes.items()]
        assert part.locator(".key").all_inner_texts() == words


def test_search_and_filters_find_what_python_finds(opened: Open, broken: tuple[Path, Report]) -> None:
    _, result = broken
    page = opened([result])
    for query, wanted in (
        ("lost.jpg", [each for each in result.findings if "lost.jpg" in each.found]),
        ("tag201", [each for each in result.findings if each.code == "TAG201"]),
        ("ROW 18", [each for each in result.findings if each.place.row == 18]),
        ("tag202 pictures", [each for each in result.findings if each.code == "TAG202" and "pictures" in each.file]),
        ("no such words", []),
    ):
        page.page.fill("#search", query)
        assert page.shows() == f"{len(wanted)} of {len(result.findings)} findings", query
        assert (page.page.locator(".item").count() > 0) is bool(wanted)
    assert "Nothing matches" in page.text("#detail")
    page.page.fill("#search", "")
    page.page.select_option("#by-severity", label=f"warning ({result.warnings})")
    assert page.shows().startswith(f"{result.warnings} of ")
    warned = [each.code for each in result.findings if each.severity is Severity.WARNING]
    assert page.page.locator(".item .code").all_inner_texts() == warned
    page.page.click("#reset")
    page.page.select_option("#by-outcome", label="dropped")
    assert page.shows().startswith(f"{sum(each.outcome is Outcome.DROPPED for each in result.findings)} of ")
    page.page.select_option("#by-dataset", label="clips")
    assert page.shows().startswith("1 of ")
    page.page.click("#reset")
    assert page.shows() == f"{len(result.findings)} findings"


def test_a_rule_opens_to_its_page_and_its_findings(opened: Open, broken: tuple[Path, Report]) -> None:
    _, result = broken
    page = opened([result])
    codes = page.page.locator(".rule .code").all_inner_texts()
    assert set(codes) == {each.code for each in result.findings} and len(codes) == len(set(codes))
    rule = page.page.locator(".rule", has_text="MED001")
    count = sum(each.code == "MED001" for each in result.findings)
    assert rule.locator(".amount").inner_text() == str(count)
    rule.locator("summary").click()
    rule.locator("h3").first.wait_for()
    assert {"What it finds", "Why it matters", "Bad", "Good", "Fix"} <= set(rule.locator("h3").all_inner_texts())
    rule.get_by_role("button", name=f"Show all {count} findings").click()
    assert page.shows() == f"{count} of {len(result.findings)} findings"


def test_keys_move_through_the_list(opened: Open, broken: tuple[Path, Report]) -> None:
    _, result = broken
    ordered = sorted(result.findings, key=lambda each: list(Severity).index(each.severity))
    page = opened([result])
    keys = page.page.keyboard

    def at() -> int:
        chosen = page.page.locator(".item[aria-selected=true]")
        active = page.page.locator("#list").get_attribute("aria-activedescendant")
        assert chosen.get_attribute("id") == active
        place = int(chosen.get_attribute("aria-posinset")) - 1
        assert ordered[place].code in page.text("#detail h3")
        return place

    keys.press("j")
    assert at() == 1 and page.page.evaluate("document.activeElement.id") == "list"
    for key, place in (("ArrowDown", 2), ("k", 1), ("End", len(ordered) - 1), ("j", len(ordered) - 1), ("Home", 0)):
        keys.press(key)
        assert at() == place, key
    keys.press("PageDown")
    assert at() > 5
    keys.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "detail"
    keys.press("Escape")
    assert page.page.evaluate("document.activeElement.id") == "list"
    keys.press("/")
    keys.type("tag201")
    assert page.page.input_value("#search") == "tag201" and page.shows().startswith("24 of ")
    keys.press("Enter")
    keys.press("j")
    assert page.page.locator(".item[aria-selected=true]").get_attribute("aria-posinset") == "2"
    keys.press("?")
    assert page.page.locator("#help").is_visible()
    keys.press("Escape")
    assert not page.page.locator("#help").is_visible()


def test_the_first_tab_stop_skips_to_the_findings_and_focus_is_seen(opened: Open) -> None:
    page = opened([report([finding()])])
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "skip"
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "explorer"
    page.page.keyboard.press("Tab")
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.page.evaluate(style) == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(opened: Open, scheme: str) -> None:
    page = opened([report([finding()])], color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    first = page.page.evaluate(ground)
    assert (sum(map(int, first[4:-1].split(", "))) < 200) is (scheme == "dark")
    page.page.click("#theme")
    second = page.page.evaluate(ground)
    assert (sum(map(int, second[4:-1].split(", "))) < 200) is (scheme == "light")
    assert page.page.get_attribute("#theme", "aria-pressed") == str(scheme == "light").lower()
    page.page.keyboard.press("t")
    assert page.page.evaluate(ground) == first


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => color.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || ["SCRIPT", "OPTION", "title"].includes(element.tagName)) continue;
    let ground = element;
    while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
    const ink = light(rgba(getComputedStyle(element).color));
    const paper = light(rgba(getComputedStyle(ground).backgroundColor));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push([ratio, `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("mode", ["findings", "rows"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(opened: Open, broken: tuple[Path, Report], scheme: str, mode: str) -> None:
    """At least 4.5 : 1 (WCAG 2.1, 1.4.3)."""
    page = opened([broken[1]], color_scheme=scheme)
    page.page.click(f"#mode-{mode}")
    for summary in page.page.locator(".rule summary").all():
        summary.click()
    found = page.page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert not [each for each in found if each[0] < 4.5]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(opened: Open, broken: tuple[Path, Report], width: int) -> None:
    page = opened([broken[1]], viewport={"width": width, "height": 800})
    for summary in page.page.locator(".rule summary").all()[:3]:
        summary.click()
    page.page.locator(".rule h3").last.wait_for()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    page.page.locator(".item").nth(1).click()
    assert page.page.locator("#detail").is_visible()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    if width <= 900:
        page.page.click(".close")
        assert not page.page.locator("#detail").is_visible()


def test_rows_show_their_text_and_media(opened: Open, broken: tuple[Path, Report]) -> None:
    """A picture, a frame of a clip, a sound's outline; what cannot be read says so instead."""
    page = opened([broken[1]])
    page.page.click("#mode-rows")
    shown = sum(len(each.shown) for each in broken[1].datasets)
    assert page.shows().startswith(f"{shown} rows, a part of the {broken[1].rows_in} that were read")
    for dataset in ("pictures", "clips"):
        page.page.select_option("#by-dataset", label=dataset)
        page.page.select_option("#by-outcome", label="trained")
        page.page.locator(".item").first.click()
        picture = page.page.locator("#detail .medium img").first
        picture.wait_for()
        assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") > 32
        assert "tokens" in page.text("#detail") and "assistant" in page.text("#detail")
    page.page.select_option("#by-dataset", label="sounds")
    page.page.locator(".item").first.click()
    outline = page.page.locator("#detail .medium svg.wave path").bounding_box()
    assert outline is not None and outline["width"] > 100 and outline["height"] > 20
    page.page.click("#reset")
    page.page.fill("#search", "cut.jpg")
    page.page.locator(".item").first.click()
    assert page.page.locator("#detail .medium img").count() == 0 and "truncated" in page.text("#detail .medium")


def test_findings_and_rows_lead_to_one_another(opened: Open, broken: tuple[Path, Report]) -> None:
    page = opened([broken[1]])
    page.page.click("#mode-rows")
    page.page.fill("#search", "row 23")
    page.page.locator("#detail .links button", has_text="MED001").click()
    assert page.page.get_attribute("#mode-findings", "aria-pressed") == "true"
    assert "missing-media-file" in page.text("#detail h3") and "lost.jpg" in page.text("#detail")


def hostile_report() -> Report:
    """Every text of the data tries to act."""
    texts = [*ACTIVE, HOSTILE]
    findings = [
        replace(HOSTILE_FINDING, found=text, expected=text, cure=text, file=text, dataset=text) for text in texts
    ]
    rows = tuple(
        ShownRow(
            text,
            3,
            Outcome.TRAINED,
            turns=(ShownTurn(text, text), ShownTurn("assistant", text)),
            media=(ShownMedium(MediaKind.IMAGE, text, text, reason=text),),
        )
        for text in texts
    )
    result = report(findings, ACTIVE[1], texts)
    shown = replace(result.datasets[0], shown=rows, lengths=Lengths(((5, 2), (9, 1))))
    return replace(result, datasets=(shown, *result.datasets[1:]), template=ACTIVE[0])


def test_hostile_texts_are_shown_and_do_nothing(opened: Open) -> None:
    page = opened([hostile_report(), report([], ACTIVE[0])])
    assert page.text("h1") == ACTIVE[1]
    for mode in ("findings", "rows"):
        page.page.click(f"#mode-{mode}")
        for place in range(len(ACTIVE) + 1):
            page.page.locator(".item").nth(place).click()
            shown = page.text("#detail")
            assert (ACTIVE[place] if place < 5 else "\\x1b") in shown, (mode, place)
            assert not {"\x00", "\x1b", "\u202e", "\u2066", "\u2028"} & set(shown)
    assert "\\u202egnp.exe" in page.text("body")
    page.page.locator("#targets button").nth(1).click()
    assert page.text("h1") == ACTIVE[0]
    assert page.page.evaluate("window.hit") is None
    assert page.page.locator("img, iframe, a:not(.skip), object, link:not([rel=icon])").count() == 0
    assert page.page.evaluate("document.scripts.length") == 2


def test_the_policy_refuses_markup_even_from_the_pages_own_script(opened: Open) -> None:
    page = opened([report([finding()])])
    tried = page.page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (error) { return error.name } }"
    )
    assert tried == "TypeError"
    page.errors.clear()  # the browser's own message on what it refused


def test_a_hundred_thousand_findings_stay_few_in_the_document(opened: Open) -> None:
    many = [
        finding("TAG201" if row % 4 else "TRN202", row, f"data{row % 3}.json", found=f"entry {row}")
        for row in range(100_000)
    ]
    page = opened([report(many)])
    size = "document.querySelectorAll('*').length"
    assert page.shows() == "100,000 findings" and page.page.evaluate(size) < 1500
    page.page.fill("#search", "entry 4321")
    wanted = [each for each in many if "4321" in each.found]
    assert page.shows() == f"{len(wanted)} of 100,000 findings"
    page.page.fill("#search", "trn202 data1")
    assert (
        page.shows()
        == f"{sum(each.code == 'TRN202' and each.file == 'data1.json' for each in many):,} of 100,000 findings"
    )
    page.page.fill("#search", "")
    page.page.focus("#list")
    page.page.keyboard.press("End")
    assert page.page.locator(".item[aria-selected=true]").get_attribute("aria-posinset") == "100000"
    page.page.evaluate("document.getElementById('list').scrollTop = 2500000")
    page.page.wait_for_function("document.querySelector('.item').getAttribute('aria-posinset') > 40000")
    assert page.page.evaluate(size) < 1500


def test_no_target_no_finding_no_dataset(opened: Open) -> None:
    assert "Nothing was checked" in opened([]).text("#summary")
    clean = opened([report()])
    assert "All checks passed." in clean.text("#summary") and not clean.page.locator("#explorer").is_visible()
    bare = opened([report([finding("CFG101", None, "train.yaml", "", "lerning_rate")], names=())])
    assert "lerning_rate" in bare.text("#detail") and not bare.page.locator("#datasets").is_visible()


def test_on_paper_the_interactive_parts_are_gone(opened: Open, broken: tuple[Path, Report]) -> None:
    page = opened([broken[1]], color_scheme="dark")
    page.page.emulate_media(media="print")
    for selector in (".bar", "#explorer", "#slider", ".presets"):
        assert not page.page.locator(selector).is_visible(), selector
    assert page.page.locator("#rules .rule").first.is_visible() and page.page.locator(".plot svg").is_visible()
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_what_the_page_cannot_bear_is_counted_and_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validators.report.html.values.MOST_FINDINGS", 7)
    page = opened([report([finding("BUD002", None), *(finding(row=row) for row in range(20))])])
    assert page.shows() == "7 findings; 14 more are counted but not in this page"
    assert page.page.locator(".rule .amount").all_inner_texts() == ["20", "1"]
    monkeypatch.setattr("validators.report.html.values.MOST_CHARS", 500)
    page = opened([report([finding(row=row, found=f"{row} {'x' * 90}") for row in range(6)])])
    listed = number(page.shows())
    assert 1 < listed < 6 and page.shows() == f"{listed} findings; {6 - listed} more are counted but not in this page"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"MMCURATE_CHROMIUM": "/nowhere/chrome"}, "names /nowhere/chrome"), ({"PATH": "/nowhere"}, "no chromium, ")],
)
def test_where_there_is_no_browser_the_cure_is_told(root: Path, environment: dict[str, str], reason: str) -> None:
    command = [sys.executable, str(root / "scripts" / "browser.py")]
    base = {name: value for name, value in os.environ.items() if name != "MMCURATE_CHROMIUM"}
    done = subprocess.run(command, env=base | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and reason in done.stderr and "Install Chromium" in done.stderr
