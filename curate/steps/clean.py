"""`clean`: texts as they were meant: no mojibake, no control characters, one form of each character."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.steps.step import Note, Passed, Surroundings
from validators.model import MediaKind

PLAIN = r"^[\x20-\x7e\n\t、-】ぁ-ゖァ-ヺー一-鿿가-힣！-～]*$"
"""Texts in which there is nothing to mend; the others are looked at one by one. Of Chinese, Japanese and Korean
characters those which NFC leaves as they are, and which no mojibake is made of."""


@dataclass(frozen=True, slots=True)
class Clean:
    """ftfy's repair of each message: decoded twice, terminal escapes, control characters, NFC.

    Quotes, ligatures, full-width forms and HTML entities stay as they were written: the text may be about them.
    """

    def __call__(self, rows: pl.DataFrame, around: Surroundings) -> Passed:
        """Every row, with a note for those that changed."""
        content = pl.element().struct.field("content")
        odd = rows.select(pl.col("messages").list.eval(~content.str.contains(PLAIN)).list.any()).to_series()
        changed: dict[int, list[dict[str, str]]] = {}
        for position in odd.arg_true():
            before = rows["messages"][position].to_list()
            after = [message | {"content": mended(message["content"])} for message in before]
            if after != before:
                changed[position] = after
        if not changed:
            return Passed(rows)
        at = pl.int_range(len(rows), dtype=pl.UInt32, eager=True)
        new = pl.DataFrame(
            {"at": list(changed), "new": list(changed.values())},
            schema={"at": pl.UInt32, "new": rows.schema["messages"]},
        )
        joined = rows.with_columns(at=at).join(new, on="at", how="left", maintain_order="left")
        mended_rows = joined.with_columns(messages=pl.coalesce("new", "messages")).drop("at", "new")
        notes = [Note(int(rows["row"][position]), "changed", "text cleaned") for position in changed]
        return Passed(mended_rows, notes)


def mended(text: str) -> str:
    """One text; as it was where the repair would make or unmake a placeholder, or leave nothing."""
    import ftfy

    config = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False
    )
    result = ftfy.fix_text(text, config)
    tags = all(text.count(kind.tag) == result.count(kind.tag) for kind in MediaKind)
    return result if tags and (result.strip() or not text.strip()) else text
