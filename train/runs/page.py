"""Runs as one page: losses drawn, runs side by side. No script, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from curate.views.page import Markup, document, element
from train.runs import words
from train.runs.compare import Comparison, shown_steps
from train.runs.plot import Curve, plot
from train.runs.read import Run
from validators.report.escaping import printable

COLOURS = 8
"""Runs that can be told apart by colour (runs.css: curve-0 to curve-7)."""


@cache
def style() -> str:
    """This page's own style."""
    return files(__package__).joinpath("runs.css").read_text(encoding="utf-8")


def page(runs: Sequence[Run], found: Comparison | None) -> str:
    """The page; `found` where two runs are compared."""
    names = [printable(str(run.folder)) for run in runs]
    title = " and ".join(names) if found is not None else f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    body = [element("h1", {}, title), *figures(runs)]
    body.append(section("Runs", table([words.HEADINGS, *(words.cells(run) for run in runs)])))
    if found is not None:
        for name, parts in (
            ("Settings that differ", found.settings),
            ("Data that differ", found.data),
            ("Circumstances that differ", found.circumstances),
        ):
            rows = [("", *names), *(words.difference_cells(each) for each in parts)]
            body.append(section(name, table(rows) if parts else element("p", {"class": "note"}, "None.")))
        losses = [
            (str(step), words.loss(a), words.loss(b), f"{b - a:+.4g}") for step, a, b in shown_steps(found.losses)
        ]
        if losses:
            body.append(section("Loss at the same steps", table([("step", *names, "difference"), *losses])))
    return document("curate runs", title, style(), *body)


def figures(runs: Sequence[Run]) -> list[Markup]:
    """The plots: training, and evaluation where it was logged."""
    made = []
    for title, points in (
        ("Training loss", [run.losses.trained for run in runs]),
        ("Evaluation loss", [run.losses.evaluated for run in runs]),
    ):
        curves = [
            Curve(printable(str(run.folder)), each, f"curve-{number}")
            for number, (run, each) in enumerate(zip(runs, points, strict=True))
        ][:COLOURS]
        drawn = plot(curves, title)
        if drawn:
            keys = [element("span", {"class": f"key {curve.style}"}, curve.name) for curve in curves if curve.points]
            left = len(runs) - COLOURS
            note = element("p", {"class": "note"}, f"{left} more runs are not drawn.") if left > 0 else Markup()
            made.append(section(title, element("figure", {}, drawn), element("p", {"class": "legend"}, *keys), note))
    return made


def section(title: str, *parts: Markup) -> Markup:
    """A part of the page under its title."""
    return element("section", {}, element("h2", {}, title), *parts)


def table(rows: Sequence[Sequence[str]]) -> Markup:
    """Rows, the first of them headings."""
    head, *others = rows
    made = [element("tr", {}, *(element("td", {"dir": "auto"}, cell) for cell in row)) for row in others]
    top = element("thead", {}, element("tr", {}, *(element("th", {"scope": "col"}, cell) for cell in head)))
    return element("div", {"class": "table"}, element("table", {}, top, element("tbody", {}, *made)))
