"""Reports as one page: template, style and script lie beside this module and are put together here.

The data travel as JSON that a browser does not run, and the page's own policy (Content-Security-Policy) lets nothing
else run, load or send: only this script and this style, by their hashes, and pictures that are inside the page. The
script sets text, never markup; `require-trusted-types-for` makes the browser refuse it otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from validators.report.escaping import encodable, printable
from validators.report.html.values import page_values
from validators.report.model import Layout, Report

SLOT = re.compile(r"@@(POLICY|TITLE|STYLE|DATA|SCRIPT)@@")
ACTIVE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def render(reports: Sequence[Report], layout: Layout) -> str:
    """The page."""
    style, script = part("page.css"), part("page.js")
    title = ", ".join(report.target for report in reports[:3]) or "nothing"
    filled = {
        "POLICY": escape(policy(style, script)),
        "TITLE": escape(printable(title)),
        "STYLE": style,
        "DATA": data(page_values(reports)),
        "SCRIPT": script,
    }
    return SLOT.sub(lambda slot: filled[slot[1]], part("page.html"))


@cache
def part(name: str) -> str:
    """One of the page's own files."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """What a browser may do with the page."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{digest(style)}'",
            f"script-src '{digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def digest(text: str) -> str:
    """A hash as the policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def data(value: object) -> str:
    """JSON in which no markup can begin or end."""
    return encodable(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).translate(ACTIVE)
