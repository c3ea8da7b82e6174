"""Rows as one page: no script at all, no other file, nothing in the data that can act.

Its style and its way with text and previews are the HTML report's.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from curate.views.judge import ViewedRow
from curate.views.row_words import TAG, token_words
from validators.model import Role
from validators.previews.make import MOST_SECONDS, Maker
from validators.report.escaping import encodable, printable
from validators.report.html.page import part, policy
from validators.report.html.values import lines
from validators.report.shown import Preview, ShownMedium, ShownTurn

MOST_PREVIEWS = 300
SLOT = re.compile(r"@@(POLICY|TITLE|BRAND|STYLE|BODY)@@")
JUDGED = "Each row judged by itself: what the whole dataset or the yaml does to it, curate check says."


class Markup(str):
    """Text that is markup already; all other text is escaped where it comes into the page."""

    __slots__ = ()


def element(name: str, attributes: Mapping[str, object], *children: str) -> Markup:
    """An element; attributes and children that are no Markup are escaped."""
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    inner = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{given}>{inner}</{name}>")


def gallery(rows: Sequence[ViewedRow], target: str) -> str:
    """The page."""
    maker = Maker(MOST_PREVIEWS, time.monotonic() + MOST_SECONDS)
    return document(
        "curate view",
        printable(target),
        own("gallery.css"),
        element("h1", {}, printable(target)),
        element("p", {"class": "note"}, JUDGED),
        element("div", {"class": "cards"}, *(card(row, maker) for row in rows)),
    )


def document(brand: str, title: str, style: str, *body: Markup) -> str:
    """A page without script, in the HTML report's style with `style` added; text that is no Markup is escaped."""
    style = part("page.css") + style
    filled = {
        "POLICY": escape(policy(style, "")),
        "TITLE": escape(title),
        "BRAND": escape(brand),
        "STYLE": style,
        "BODY": "".join(body),
    }
    return encodable(SLOT.sub(lambda slot: filled[slot[1]], own("plain.html")))


@cache
def own(name: str) -> str:
    """One of this package's own files."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def card(row: ViewedRow, maker: Maker) -> Markup:
    """One row."""
    shown = maker.row(row.shown)
    outcome = shown.outcome.value
    head = [
        element("h2", {}, f"row {shown.row} ", element("span", {"class": "mono"}, printable(row.dataset))),
        element(
            "p",
            {"class": "note"},
            element("span", {"class": f"chip is-{outcome}"}, outcome),
            f" {printable(shown.file)}{token_words(row)}",
        ),
    ]
    if row.raw:
        head.append(element("p", {}, f"No conversation: {printable(row.raw)}"))
    # of a row's media the page shows the first ones
    pictures = [medium_box(medium, known.facts) for medium, known in zip(shown.media, row.media, strict=False)]
    return element(
        "article",
        {"class": "card"},
        *head,
        element("div", {"class": "media"}, *pictures) if pictures else "",
        left_out(shown.media_left_out, "media"),
        *(turn_box(turn) for turn in shown.turns),
        left_out(shown.turns_left_out, "turns"),
        findings(row),
    )


def turn_box(turn: ShownTurn) -> Markup:
    """A turn."""
    answer = turn.role in (Role.ASSISTANT.value, "gpt")
    pieces = (
        element("mark", {}, piece) if place % 2 else piece for place, piece in enumerate(TAG.split(lines(turn.text)))
    )
    return element(
        "div",
        {"class": "turn answer" if answer else "turn"},
        element("b", {}, printable(turn.role, 40) or "no role"),
        element("p", {"dir": "auto"}, *pieces),
        left_out(turn.left_out, "characters"),
    )


def medium_box(medium: ShownMedium, facts: str) -> Markup:
    """A medium: its picture or why there is none, its path, its facts."""
    name = f"{medium.kind.value} {printable(medium.path, 300)}"
    drawn = medium.kind.value if medium.preview is None else picture(medium.preview, name)
    more = medium.reason if medium.preview is None else medium.preview.note
    words = dict.fromkeys(word for word in (facts, more) if word)
    return element(
        "div",
        {"class": "medium"},
        element("div", {"class": "frame"}, drawn),
        element(
            "span", {"class": "path mono", "title": printable(medium.path)}, printable(medium.path) or "inside the row"
        ),
        element("span", {}, printable(" · ".join(words), 300)),
    )


def picture(preview: Preview, name: str) -> Markup:
    """A preview as an image, or as a drawn sound."""
    if preview.data:
        address = f"data:{preview.mime};base64,{base64.b64encode(preview.data).decode('ascii')}"
        return image({"src": address, "width": preview.width, "height": preview.height, "alt": name})
    upper = [f"{place} {-max(high, 1)}" for place, (_, high) in enumerate(preview.peaks)]
    lower = [f"{place} {-min(low, -1)}" for place, (low, _) in enumerate(preview.peaks)]
    outline = element("path", {"d": f"M{'L'.join((*upper, *reversed(lower)))}Z"})
    box = f"0 -104 {max(len(preview.peaks) - 1, 1)} 208"
    return element(
        "svg",
        {"class": "wave", "viewBox": box, "preserveAspectRatio": "none", "role": "img", "aria-label": name},
        outline,
    )


def image(attributes: Mapping[str, object]) -> Markup:
    """An image, which has no end tag."""
    return Markup(element("img", attributes).removesuffix("</img>"))


def findings(row: ViewedRow) -> Markup:
    """What rules say of the row."""

    def items() -> Iterable[Markup]:
        for finding in row.findings:
            place = f"{printable(finding.place.path)} " if finding.place.path else ""
            expected = f"; expected {printable(finding.expected)}" if finding.expected else ""
            code = element("b", {"class": f"mono is-{finding.severity.value}"}, f"{finding.code} {finding.name}")
            yield element("li", {}, place, code, f" {printable(finding.found)}{expected}")

    return element("ul", {"class": "found"}, *items()) if row.findings else Markup()


def left_out(number: int, word: str) -> Markup:
    """`and 12 more turns`; nothing for none."""
    return element("p", {"class": "left-out"}, f"and {number} more {word}") if number else Markup()
