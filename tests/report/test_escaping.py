"""What a row holds is shown and never acts."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.report.samples import finding, layout, report
from validators.report.escaping import markdown_code, printable, workflow_data, workflow_property
from validators.report.formats import BY_NAME

TEXTS = st.text(st.characters(exclude_categories=()), max_size=60) | st.text("|\\`<>&*_[]@# a\n", max_size=20)


def test_workflow_commands_are_escaped_as_the_toolkit_does() -> None:
    """Percent and line ends in data; colon and comma too in properties."""
    assert workflow_data("50%\r\n::x, y") == "50%25%0D%0A::x, y"
    assert workflow_property("C:\\a,b%\n") == "C%3A\\a%2Cb%25%0A"
    text = BY_NAME["github"].render([report([finding(file="a,b:c%.json", line=7)])], layout())
    assert text.startswith("::error file=a%2Cb%3Ac%25.json,line=7,title=TAG201 more-image-tags-than-images::")


@given(TEXTS)
def test_printable_text_is_one_line_that_every_encoding_of_unicode_takes(text: str) -> None:
    """No control character, line end, surrogate or turn of direction is left, and all else is."""
    shown = printable(text)
    assert len(shown.splitlines()) <= 1 and shown.encode("utf-8").decode() == shown
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
    assert shown == text or any(not char.isprintable() or char.isspace() for char in text)
    ET.fromstring(ET.tostring(root_of(shown)))


def root_of(text: str) -> ET.Element:
    root = ET.Element("a", {"b": text})
    root.text = text
    return root


@given(TEXTS)
def test_a_table_cell_shows_the_text_and_nothing_else(text: str) -> None:
    """Whatever stands in a cell: one row of three cells, the middle one code with just this text."""
    table = f"| a | b | c |\n|---|---|---|\n| x | {markdown_code(text)} | y |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    assert sum(token.type == "tr_open" for token in tokens) == 2
    cells = [token.children or [] for token in tokens if token.type == "inline"][3:]
    assert [cells[0][0].content, cells[2][0].content] == ["x", "y"]
    shown = [child.content for child in cells[1] if child.type != "html_inline"]
    assert {child.type for child in cells[1]} <= {"text", "text_special", "code_inline", "html_inline"}
    assert "".join(shown).strip() == (printable(text).strip() or "(empty)")
