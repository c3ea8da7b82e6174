"""`curate view`: the right rows, what the check says of them, and nothing of a stranger's that acts."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from curate.cli import main
from curate.views.judge import Judge, ViewedRow
from curate.views.page import element
from scripts.browser import FLAGS, find_browser
from tests.scaffold import TAGS, Overlay, blocks_of
from tests.views.test_stats import some_rows
from validators.engine import CheckOptions, check
from validators.model import Outcome
from validators.rules.registry import RULES
from validators.rules.rule import Scope
from validators.sources.chunks import Chunk
from validators.sources.loading import Loader
from validators.sources.target import DatasetPlan

Project = Callable[[Overlay], Path]
HEAD = re.compile(r"^\S+  row (\d+)(?: \(line \d+\))?  (\S+)$", re.MULTILINE)
FATE = re.compile(r"^  → (\S+)", re.MULTILINE)


def view(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["view", *arguments]) == code
    return capsys.readouterr().out


def rows_in(text: str) -> list[int]:
    return [int(number) for number, _ in HEAD.findall(text)]


def test_the_right_rows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row | {"id": f"n{number}"} for number, row in enumerate(some_rows(60))]
    rows[17]["messages"][-1]["content"] = "Ein Gürteltier!"
    rows[31]["messages"] = 5
    rows[31]["note"] = "gürteltier"
    train = str(project({"data.json": json.dumps(rows)}))
    assert rows_in(view(capsys, train)) == [0, 1, 2, 3, 4]
    assert rows_in(view(capsys, train, "--row", "59", "--row", "0")) == [0, 59]
    assert rows_in(view(capsys, train, "--id", "n23", "--id", "n7")) == [7, 23]
    assert rows_in(view(capsys, train, "--grep", "GÜRTELtier")) == [17, 31]
    assert rows_in(view(capsys, train, "--grep", "gürteltier", "--row", "17", "--row", "18")) == [17]
    cats = [number for number, row in enumerate(rows) if "cat.jpg" in row["images"]]
    assert rows_in(view(capsys, train, "--grep", "cat.JPG", "--limit", "60")) == cats
    drawn = rows_in(view(capsys, train, "--sample", "9", "--seed", "4"))
    assert len(set(drawn)) == 9 and drawn == sorted(random.Random(4).sample(range(60), 9))
    assert drawn == rows_in(view(capsys, train, "--sample", "9", "--seed", "4"))
    assert set(rows_in(view(capsys, train, "--sample", "3", "--grep", "cat.jpg"))) <= set(cats)
    assert view(capsys, train, "--grep", "no such words", code=1) == ""


def test_what_a_row_shows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "<image><video>\nWhat?"},
            {"role": "assistant", "content": "x" * 3000},
        ],
        "images": ["cat.jpg"],
        "videos": ["clip.mp4"],
    }
    train = str(project({"data.json": json.dumps([row]), "train.yaml": "cutoff_len: 100\n"}))
    out = view(capsys, train)
    summary = check(Path(train), CheckOptions(keep_rows=True)).datasets[0]
    prediction = (summary.predictions or {})[0]
    assert (
        f"  → {prediction.outcome}  {summary.tokens} tokens, {prediction.tokens} kept, {prediction.supervised} " in out
    )
    assert prediction.outcome is not Outcome.TRAINED
    assert "\n  images[0]  cat.jpg  64 × 48 · JPEG · RGB · " in out and "30 frames of 64 × 48, 3.0 s" in out
    assert (
        "  user  messages[1]\n    <image><video>\n    What?\n" in out and "  system  messages[0]\n    Be kind.\n" in out
    )
    assert "… 1000 more characters (--full prints them)" in out
    assert "x" * 3000 in view(capsys, train, "--full")


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.scope in (Scope.ROW, Scope.MEDIA)], ids=lambda rule: rule.code
)
def test_each_row_alone_is_judged_as_among_all(project: Project, capsys: pytest.CaptureFixture[str], rule: Any) -> None:
    """Outcome and findings of each row of the rules' own bad examples, but for what stops the whole dataset."""
    train = project(blocks_of(rule.page, "Bad"))
    report = check(train, CheckOptions(keep_rows=True))
    for summary in report.datasets:
        for row, prediction in (summary.predictions or {}).items():
            out = view(capsys, str(train), "--row", str(row), "--dataset", summary.name)
            own = [
                found
                for found in report.findings
                if found.place.row == row
                and found.dataset == summary.name
                and next(known for known in RULES if known.code == found.code).scope in (Scope.ROW, Scope.MEDIA)
            ]
            assert all(f"{found.code} {found.name}" in out for found in own), out
            if not report.stops or own:
                assert FATE.findall(out) == [prediction.outcome.value], (row, own)


def test_hostile_rows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e\ud800</style><script>window.hit=1</script><img src=x onerror=alert(1)>\"'"
    rows = [
        {
            "messages": [{"role": evil, "content": evil}, {"role": "user", "content": f"<image>{evil}"}],
            "images": [evil],
        },
        {
            "messages": [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": evil}],
            "images": ["../outside.jpg"],
        },
        {"messages": evil, "images": 3},
        evil,
        {
            "messages": [{"role": "user", "content": "<image>" * 3}, {"role": "assistant", "content": "ok"}],
            "images": ["cat.jpg", "cut.jpg", "/etc/passwd"],
        },
    ]
    train = str(project({"data.json": json.dumps(rows)}))
    for colour in ("never", "always"):
        out = re.sub(r"\x1b\[[0-9;]*m(?!\d)", "", view(capsys, train, "--color", colour))
        assert not set(out) & set("\x1b\x07\x9b\u202e"), out
    view(capsys, train, "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")

    class Reader(HTMLParser):
        tags: set[str] = set()  # noqa: RUF012
        names: set[str] = set()  # noqa: RUF012
        sources: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.names |= {name for name, _ in attrs}
            self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    reader = Reader()
    reader.feed(page)
    assert not reader.tags & {"script", "iframe", "object", "a", "form"} and not any(
        name.startswith("on") for name in reader.names
    )
    assert "style" not in reader.names and all(source.startswith("data:") for source in reader.sources)
    assert page.count("<article") == 5 and "data:image/" in page and "script-src &#x27;sha256-" in page
    assert not set(page) & set("\x1b\x07\x9b\u202e")


def test_the_page_has_previews_of_each_kind(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "messages": [{"role": "user", "content": "<image><video><audio>"}, {"role": "assistant", "content": "ok"}],
        "images": ["cat.jpg"],
        "videos": ["clip.mp4"],
        "audios": ["tone.wav"],
    }
    train = str(project({"data.json": json.dumps([row, row])}))
    view(capsys, train, "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert (
        page.count('<img src="data:image/') == 4 and page.count("<svg") == 2 and "default-src &#x27;none&#x27;" in page
    )
    assert (
        element("p", {"title": '"><b>'}, "<b>", element("i", {}))
        == '<p title="&quot;&gt;&lt;b&gt;">&lt;b&gt;<i></i></p>'
    )


def test_wrong_calls(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    info = {
        name: {"file_name": "data.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
        for name in "ab"
    }
    Path("dataset_info.json").write_text(json.dumps(info))
    for arguments, words in (
        (["dataset_info.json", "--row", "0"], "--dataset, one of a, b"),
        (["dataset_info.json", "--dataset", "c"], "one of a, b"),
        (["dataset_info.json:a", "--row", "2"], "no row 2; expected 0 to 1"),
        (["dataset_info.json:a", "--row", "-1"], "expected 0 or more"),
        (["dataset_info.json:a", "--html", "no/such/page.html"], "cannot be written"),
    ):
        assert main(["view", *arguments]) == 2
        err = capsys.readouterr().err
        assert words in err and "Traceback" not in err
    Path("data.json").write_text('[{"messages": []}, {"mess')
    assert main(["view", "dataset_info.json:a"]) == 2
    shown = capsys.readouterr()
    assert "row 0" in shown.out and "data.json:1: not JSON" in shown.err
    Path("data.json").write_text("[]")
    assert main(["view", "dataset_info.json:a"]) == 1 and "no such row" in capsys.readouterr().err
    assert main(["view", "dataset_info.json:a", "--sample", "3"]) == 1


def test_one_row_of_many(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """None but that row is judged, and nothing behind its chunk is read."""
    project({})
    judged: list[int] = []
    read: list[int] = []
    judge, chunks = Judge.row, Loader.chunks

    def judging(self: Judge, dataset: DatasetPlan, chunk: Chunk) -> ViewedRow:
        judged.append(len(chunk))
        return judge(self, dataset, chunk)

    def reading(self: Loader) -> Iterator[Chunk]:
        for chunk in chunks(self):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr(Judge, "row", judging)
    monkeypatch.setattr(Loader, "chunks", reading)
    line = json.dumps(
        {"messages": [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "It. " * 60}]}
    )
    Path("many.jsonl").write_text(f"{line}\n" * 50_000)
    as_qwen = ("--template", "qwen2_vl", "--model", "model")
    assert rows_in(view(capsys, "many.jsonl", "--row", "49999", *as_qwen)) == [49999]
    assert judged == [1] and sum(read) == 50_000
    read.clear()
    assert rows_in(view(capsys, "many.jsonl", "--row", "7", *as_qwen)) == [7]
    assert judged == [1, 1] and len(read) == 1 and read[0] < 50_000


def test_the_page_in_a_browser(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It asks for nothing beside itself, complains of nothing, and shows every picture; hostile text is text."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium: `python scripts/browser.py` installs one")
    evil = "</p></style><script>window.hit=1</script><img src=x onerror=window.hit=2><svg onload=window.hit=3>"
    row = {
        "messages": [
            {"role": "user", "content": f"<image><video><audio>{evil}"},
            {"role": "assistant", "content": evil},
        ],
        "images": ["cat.jpg"],
        "videos": ["clip.mp4"],
        "audios": ["tone.wav"],
    }
    train = str(project({"data.json": json.dumps([row, row | {"images": [evil]}])}))
    view(capsys, train, "--html", "page.html")
    asked: list[str] = []
    said: list[str] = []
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        page = chromium.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        address = Path("page.html").resolve().as_uri()
        page.goto(address)
        assert page.evaluate("window.hit") is None
        assert page.locator("article").count() == 2 and evil in page.inner_text("article:first-of-type .turn.answer p")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.locator("article img").count() == 3 and page.locator("svg.wave path").count() == 2
        chromium.close()
    assert not said and {each for each in asked if not each.startswith("data:")} == {address}
