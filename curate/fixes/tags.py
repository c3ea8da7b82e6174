"""Placeholder tags against the media lists, and special tokens in a row's own text. All of it guesses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from curate.fixes.protocol import CannotMend, Case, Mend, Row, RowFixer
from curate.fixes.turns import Turn, entries_of, put_in_row, turns_of
from validators.model import MediaKind
from validators.rules.fixable import Safety

SPECIAL = re.compile(r"<(?=\|[^<>|\s]{1,40}\|>)|<(?=/?(?:image|slice|image_id|video|audio|unit)>)")
REWRITTEN = re.compile(r"\{\{(image|video|audio)\}\}")


def tags_dropped(kind: MediaKind) -> RowFixer:
    """For rows with more tags than entries."""

    def mend(case: Case) -> Iterator[Mend]:
        """Tags in answers broken up; or one entry repeated for tags in several turns; or the last tags taken out."""
        turns = [turn for turn in turns_of(case.value, case.entry) if kind.tag in turn.text]
        entries = entries_of(case.value, case.entry, kind)
        counts = [turn.text.count(kind.tag) for turn in turns]
        surplus = sum(counts) - len(entries)
        answers = [turn for turn in turns if not turn.asks]
        if surplus > 0 and sum(turn.text.count(kind.tag) for turn in answers) == surplus:
            row = case.value
            for turn in answers:
                row = put_in_row(row, turn.path, turn.text.replace(kind.tag, broken(kind.tag)))
            yield Mend(row, f"{kind.tag} in answers written {broken(kind.tag)}", Safety.UNSAFE)
        if not entries:
            raise CannotMend(f"the row names no {kind.value} at all")
        column = case.entry.media_column(kind)
        if column is not None and len(entries) == 1 and len(turns) > 1 and set(counts) == {1}:
            words = f"{column}: the one entry repeated for each of {len(turns)} tags"
            yield Mend({**case.value, column: entries * len(turns)}, words, Safety.UNSAFE)
        if surplus > 0:
            words = f"the last {kind.tag} taken out" if surplus == 1 else f"the last {surplus} {kind.tag} taken out"
            yield Mend(without_last(case.value, turns, kind.tag, surplus), words, Safety.UNSAFE)

    return mend


def tags_inserted(kind: MediaKind) -> RowFixer:
    """For rows with fewer tags than entries."""

    def mend(case: Case) -> Iterator[Mend]:
        """The missing tags put before the first question."""
        turns = turns_of(case.value, case.entry)
        count = sum(turn.text.count(kind.tag) for turn in turns)
        missing = len(entries_of(case.value, case.entry, kind)) - count
        first = next((turn for turn in turns if turn.asks), None)
        if first is None or missing < 1:
            raise CannotMend("no turn of the user")
        row = put_in_row(case.value, first.path, kind.tag * missing + first.text)
        many = kind.tag if missing == 1 else f"{missing} {kind.tag}"
        yield Mend(row, f"{many} put before the first question", Safety.UNSAFE)

    return mend


def broken(tag: str) -> str:
    """A tag that no longer counts as one."""
    return f"{tag[0]} {tag[1:]}"


def without_last(row: Row, turns: list[Turn], tag: str, surplus: int) -> Row:
    """The row without its last tags; a line that held nothing else goes with its tag."""
    for turn in reversed(turns):
        text = turn.text
        while surplus and tag in text:
            place = text.rindex(tag)
            end = place + len(tag)
            alone = (place == 0 or text[place - 1] == "\n") and text[end : end + 1] == "\n"
            text = text[:place] + text[end + alone :]
            surplus -= 1
        if text != turn.text:
            row = put_in_row(row, turn.path, text)
    return row


def specials_broken(case: Case) -> Iterator[Mend]:
    """Special tokens in any text of the row, and media tags in a system prompt, written with a space inside."""
    spoken = {turn.path for turn in turns_of(case.value, case.entry)}
    tags = [kind.tag for kind in MediaKind]
    found: dict[str, None] = {}

    def change(value: object, path: tuple[str | int, ...]) -> object:
        if isinstance(value, str):
            kept = tags if path in spoken else []
            made = SPECIAL.sub(lambda match: spaced(value, match, kept, found), value)
            found.update(dict.fromkeys(match.group() for match in REWRITTEN.finditer(made)))
            return REWRITTEN.sub(r"{ { \1 } }", made)
        if isinstance(value, list):
            return [change(item, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {name: change(item, (*path, str(name))) for name, item in value.items()}
        return value

    texts = {
        column
        for key, column in case.entry.columns.items()
        if column is not None and column in case.value and key not in {kind.column for kind in MediaKind}
    }
    row = {name: change(value, (name,)) if name in texts else value for name, value in case.value.items()}
    if found:
        yield Mend(row, f"broken up by a space: {', '.join(found)}", Safety.UNSAFE)


def spaced(text: str, match: re.Match[str], kept: list[str], found: dict[str, None]) -> str:
    """The token's first character, with a space after it unless the token is to be kept."""
    token = re.match(r"<[^>]*>+", text[match.start() :])
    name = token[0] if token else match[0]
    if name in kept:
        return match[0]
    found[name] = None
    return f"{match[0]} "
