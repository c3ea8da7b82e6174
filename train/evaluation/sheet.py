"""The sample sheet: each row's question, media, expected answer, and what both models answered. One page, no script."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from curate.views.judge import ViewedRow, ViewedTurn
from curate.views.page import Markup, document, element, left_out, medium_box, turn_box
from train.evaluation.predict import Answers
from train.runs.page import section, table
from train.runs.page import style as runs_style
from validators.model import Role
from validators.previews.make import MOST_SECONDS, Maker
from validators.report.escaping import printable
from validators.report.html.values import lines
from validators.report.shown import ShownTurn

MOST_ROWS = 500
MOST_PREVIEWS = 1000
MOST_TURNS = 12
MOST_CHARS = 4000
SHOWN_METRICS = ("predict_bleu-4", "predict_rouge-1", "predict_rouge-2", "predict_rouge-l")


@cache
def style() -> str:
    """What the pages of runs have, and this page's own style."""
    return runs_style() + files(__package__).joinpath("sheet.css").read_text(encoding="utf-8")


def sheet(title: str, notes: Sequence[str], rows: Sequence[ViewedRow], answers: Mapping[str, Answers]) -> str:
    """The page. answers: by the model's name, in the order to show them."""
    maker = Maker(MOST_PREVIEWS, time.monotonic() + MOST_SECONDS)
    shown = list(enumerate(rows))[:MOST_ROWS]
    return document(
        "curate evaluate",
        printable(title),
        style(),
        element("h1", {}, printable(title)),
        *(element("p", {"class": "note"}, printable(note)) for note in notes),
        section("Metrics", table(metric_rows(answers))),
        element("div", {"class": "cards"}, *(card(row, number, answers, maker) for number, row in shown)),
        left_out(len(rows) - len(shown), "rows"),
    )


def metric_rows(answers: Mapping[str, Answers]) -> list[tuple[str, ...]]:
    """The trainer's scores, one model a column."""
    rows = [("", *answers)]
    for name in SHOWN_METRICS:
        if any(name in each.metrics for each in answers.values()):
            values = (each.metrics.get(name) for each in answers.values())
            rows.append((name.removeprefix("predict_"), *("" if value is None else f"{value:.2f}" for value in values)))
    return rows


def card(row: ViewedRow, number: int, answers: Mapping[str, Answers], maker: Maker) -> Markup:
    """One row with its answers."""
    shown = maker.row(row.shown)
    asked, expected = question(row)
    pictures = [medium_box(medium, known.facts) for medium, known in zip(shown.media, row.media, strict=False)]
    told = [("expected", expected), *((name, each.texts[number]) for name, each in answers.items())]
    return element(
        "article",
        {"class": "card"},
        element("h2", {}, f"row {shown.row} ", element("span", {"class": "mono"}, printable(row.dataset))),
        element("div", {"class": "media"}, *pictures) if pictures else "",
        left_out(shown.media_left_out, "media"),
        left_out(len(asked) - MOST_TURNS, "earlier turns") if len(asked) > MOST_TURNS else "",
        *(turn_box(turn(each.role, each.text)) for each in asked[-MOST_TURNS:]),
        element("div", {"class": "answers"}, *(answer(name, text) for name, text in told)),
    )


def question(row: ViewedRow) -> tuple[list[ViewedTurn], str]:
    """The turns before the last answer, and that answer."""
    turns = list(row.turns)
    if turns and turns[-1].canon in (Role.ASSISTANT.value, Role.FUNCTION.value):
        return turns[:-1], turns[-1].text
    return turns, ""


def turn(role: str, text: str) -> ShownTurn:
    """A turn as the page shows it: the start of its text."""
    return ShownTurn(role, text[:MOST_CHARS], max(0, len(text) - MOST_CHARS))


def answer(name: str, text: str) -> Markup:
    """One answer under whose it is."""
    said = (
        element("p", {"dir": "auto"}, lines(text[:MOST_CHARS])) if text else element("p", {"class": "note"}, "(empty)")
    )
    more = left_out(max(0, len(text) - MOST_CHARS), "characters")
    return element("div", {"class": f"turn answer is-{name}"}, element("b", {}, name), said, more)
