"""Untrusted text (paths, dataset names, what a row holds) made fit for each format; nothing in it can act."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath
from urllib.parse import quote

# C0, DEL and C1 controls; separators that some readers take for line ends; marks that turn the direction of text
# around; lone surrogates; the two code points that XML 1.0 forbids
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
PLAIN_CODE = re.compile(r"[^`|\\]+")
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
MOST_CHARS = 1000
"""One text of a finding is cut here, so that a document's size is bounded by its number of findings."""


def printable(text: str, most: int = MOST_CHARS) -> str:
    r"""One line without control characters: each is shown as its escape (`\n`, `\x1b`, `\udc80`), the end cut."""
    shown = UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def encodable(text: str) -> str:
    r"""Text that UTF-8 can hold: lone surrogates as `\udc80`, which within a JSON string means the same."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def workflow_data(text: str) -> str:
    """The message of a GitHub workflow command (actions/toolkit, packages/core/src/command.ts: escapeData)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """A property of a GitHub workflow command (the same file: escapeProperty)."""
    return workflow_data(text).replace(":", "%3A").replace(",", "%2C")


def markdown_code(text: str) -> str:
    """Text as code in a Markdown table: no cell ends, no link, mention, tag or emphasis begins.

    Between backticks where that is safe; else in a code element, all punctuation as character references, because a
    table row is split at pipes before its code spans are seen.
    """
    shown = printable(text)
    if not shown.strip():
        return "(empty)"
    if PLAIN_CODE.fullmatch(shown) and not shown.startswith(" ") and not shown.endswith(" "):
        return f"`{shown}`"
    return f"<code>{PUNCTUATION.sub(lambda match: f'&#{ord(match[0])};', shown)}</code>"


def clipped(text: str, most: int, notice: str) -> str:
    """At most `most` bytes of UTF-8: whole lines, then the notice where some are missing; "" where not even that."""
    if len(text.encode("utf-8")) <= most:
        return text
    room = most - len(notice.encode("utf-8"))
    if room < 0:
        return ""
    head = text.encode("utf-8")[:room].decode("utf-8", "ignore")
    return head[: head.rfind("\n") + 1] + notice


def relative(file: str, root: Path) -> str:
    """A path as seen from `root`, with slashes, without `./`; what lies outside stays absolute."""
    whole = normpath(file if file.startswith("/") else f"{root.as_posix()}/{file}")
    inside = f"{root.as_posix().rstrip('/')}/"
    return whole.removeprefix(inside)


def uri_reference(file: str, root: Path) -> str:
    """A file as RFC 3986 wants it: relative to `root`, or `file:///…` where it lies outside."""
    path = relative(file, root)
    quoted = quote(path.encode("utf-8", "surrogateescape" if is_bytes(path) else "replace"), safe="/")
    return f"file://{quoted}" if path.startswith("/") else quoted


def is_bytes(path: str) -> bool:
    """Whether all surrogates in a path stand for bytes of a file name that is not UTF-8."""
    return all(0xDC80 <= ord(char) <= 0xDCFF for char in path if 0xD800 <= ord(char) <= 0xDFFF)
