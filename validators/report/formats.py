"""Every format of `curate check`, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from validators.report import github, gitlab, json, jsonl, junit, markdown, sarif, text
from validators.report.html import page
from validators.report.model import Layout, Report


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write reports down."""

    name: str
    several: str
    """What becomes of several targets, for --help."""
    render: Callable[[Sequence[Report], Layout], str]
    streams: bool = False
    """Whether the parts of several targets may follow one another; else they share one document."""
    shows_rows: bool = False
    """Whether it shows rows and media, which the check must then keep (CheckOptions.previews)."""


# fmt: off
FORMATS: tuple[Format, ...] = (
    Format("text", "one after another", text.render_all, streams=True),
    Format("json", "an object for one target, a list of such for several", json.render_all),
    Format("jsonl", "one finding a line, each with its target", jsonl.render, streams=True),
    Format("github", "annotations by rule and file over all targets; a summary in $GITHUB_STEP_SUMMARY", github.render),
    Format("gitlab", "one Code Quality list", gitlab.render),
    Format("sarif", "one run with the results of all", sarif.render),
    Format("junit", "a test suite for each dataset of each", junit.render),
    Format("markdown", "a section for each", markdown.render),
    Format("html", "one page, a button for each", page.render, shows_rows=True),
)
# fmt: on

BY_NAME = {each.name: each for each in FORMATS}
