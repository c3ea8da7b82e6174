"""Entries of dataset_info.json, made to fit the data that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from mimetypes import guess_type
from pathlib import Path

from curate.fixes.protocol import CannotMend, EntryCase, Mend
from curate.fixes.roles import tags_renamed
from validators.model import MediaKind
from validators.rules.fixable import Safety
from validators.sources.dataset_info import (
    COLUMN_DEFAULTS,
    FORMATTINGS,
    ROLE_TAGS,
    TAG_DEFAULTS,
    infer_entry,
    parse_entry,
)
from validators.sources.target import DATA_SUFFIXES, data_files


def key_of(case: EntryCase) -> str:
    """The last part of the finding's place: `images` of `name.columns.images`."""
    return case.finding.place.path.removeprefix(case.name).rpartition(".")[2]


def part(case: EntryCase, name: str) -> dict[str, object]:
    """`columns` or `tags` as the entry has them."""
    given = case.raw.get(name)
    return {str(key): value for key, value in given.items()} if isinstance(given, Mapping) else {}


def with_part(case: EntryCase, name: str, value: Mapping[str, object]) -> Mapping[str, object]:
    """The entry with other `columns` or `tags`."""
    return {**case.raw, name: value}


def file_named(case: EntryCase) -> Iterator[Mend]:
    """The one data file whose name is nearly the one that is written, named."""
    name = case.raw.get("file_name")
    if not isinstance(name, str):
        return
    wanted = case.folder / name
    names = [item.name for item in wanted.parent.iterdir()] if wanted.parent.is_dir() else []
    names = [item for item in names if Path(item).suffix in DATA_SUFFIXES and item != "dataset_info.json"]
    alike = [item for item in names if item.lower() == wanted.name.lower()]
    same_stem = [item for item in names if Path(item).stem == wanted.stem]
    near = get_close_matches(wanted.name, names, n=2)
    for found, safety in ((alike, Safety.SAFE), (same_stem, Safety.UNSAFE), (near, Safety.UNSAFE)):
        if len(found) == 1:
            new = (Path(name).parent / found[0]).as_posix()
            yield Mend({**case.raw, "file_name": new}, f"file_name: {name!r} made {new!r}", safety)
            return
    raise CannotMend("no file, or more than one, whose name is near")


def column_mapped(case: EntryCase) -> Iterator[Mend]:
    """The one column that can be meant, mapped; or the key taken out where the data has no such thing."""
    key = key_of(case)
    columns = part(case, "columns")
    have = columns_of(case)
    kind = next((kind for kind in MediaKind if kind.column == key), None)
    if key == "messages":
        lists = [name for name in have if any(is_talk(row.get(name)) for row in case.rows)]
        if len(lists) != 1:
            raise CannotMend("no column, or more than one, holds lists of turns")
        yield mapped(case, columns, key, lists[0], Safety.SAFE)
        return
    if kind is not None and (names := [name for name in (kind.column, kind.value) if name in have]):
        yield mapped(case, columns, key, names[0], Safety.SAFE)
    near = get_close_matches(str(columns.get(key, COLUMN_DEFAULTS[key])), have, n=1, cutoff=0.6)
    if near and near[0] not in columns.values():
        yield mapped(case, columns, key, near[0], Safety.UNSAFE)
    if key in columns and key not in ("prompt", "response"):
        rest = {name: value for name, value in columns.items() if name != key}
        yield Mend(with_part(case, "columns", rest), f"columns.{key} taken out: no row has it", Safety.SAFE)


def mapped(case: EntryCase, columns: Mapping[str, object], key: str, name: str, safety: Safety) -> Mend:
    """The entry with one column more, or another."""
    if not columns:  # the defaults go once `columns` is there
        columns = {given: word for given, word in COLUMN_DEFAULTS.items() if word in columns_of(case)}
    return Mend(with_part(case, "columns", {**columns, key: name}), f"columns.{key}: {name!r}", safety)


def columns_of(case: EntryCase) -> list[str]:
    """The columns that the first rows have."""
    return list(dict.fromkeys(str(name) for row in case.rows for name in row))


def is_talk(value: object) -> bool:
    """Whether a value is a list of turns."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def column_key_renamed(case: EntryCase) -> Iterator[Mend]:
    """A key that the trainer ignores, by the one that was meant; or taken out where it names nothing."""
    key, columns = key_of(case), part(case, "columns")
    value = columns.get(key)
    near = get_close_matches(key, list(COLUMN_DEFAULTS), n=1, cutoff=0.7)
    meant = kind_in(case, value) or (near[0] if near else None)
    rest = {name: item for name, item in columns.items() if name != key}
    if meant is not None and meant not in columns:
        words = f"columns: {key!r} made {meant!r}"
        yield Mend(with_part(case, "columns", renamed(columns, key, meant)), words, Safety.SAFE)
    if value not in columns_of(case):
        yield Mend(with_part(case, "columns", rest), f"columns.{key} taken out: no row has {value!r}", Safety.SAFE)
    elif meant is None:
        raise CannotMend("no known key is near")
    else:
        yield Mend(with_part(case, "columns", rest), f"columns.{key} taken out", Safety.UNSAFE)


def kind_in(case: EntryCase, column: object) -> str | None:
    """The key for a column whose values are paths of one kind of media; None where they are not."""
    if not isinstance(column, str):
        return None
    values = [row.get(column) for row in case.rows]
    items = [item for value in values for item in (value if isinstance(value, list) else [value]) if item is not None]
    types = {str(guess_type(item)[0]).partition("/")[0] if isinstance(item, str) else "" for item in items}
    return next((kind.column for kind in MediaKind if types == {kind.value}), None)


def key_taken_out(case: EntryCase) -> Iterator[Mend]:
    """A key that means nothing to the trainer, taken out."""
    key = key_of(case)
    rest = {name: item for name, item in part(case, "columns").items() if name != key}
    yield Mend(with_part(case, "columns", rest), f"columns.{key} taken out", Safety.UNSAFE)


def renamed(part: Mapping[str, object], key: str, new: str) -> dict[str, object]:
    """A mapping with one key renamed in its place."""
    return {new if name == key else name: item for name, item in part.items()}


def media_column_added(case: EntryCase) -> Iterator[Mend]:
    """A media column of the data that the entry does not map, mapped."""
    key = key_of(case)
    kind = next(kind for kind in MediaKind if kind.column == key)
    name = next((name for name in (kind.column, kind.value) if name in columns_of(case)), None)
    if name is not None:
        yield mapped(case, part(case, "columns"), key, name, Safety.SAFE)


def tags_completed(case: EntryCase) -> Iterator[Mend]:
    """All tags that the data need, each by the data's own word where it shows one."""
    given = part(case, "tags")
    wanted = {tag: word for tag, word in data_tags(case).items() if not isinstance(given.get(tag), str)}
    if not wanted:
        raise CannotMend("the first rows do not show what the tags should be")
    words = ", ".join(f"{tag} {word!r}" for tag, word in wanted.items())
    yield Mend(with_part(case, "tags", {**given, **wanted}), f"tags: {words} added", Safety.SAFE)


def tags_set(case: EntryCase) -> Iterator[Mend]:
    """Tags in full, by what the messages have."""
    tags = data_tags(case)
    if not tags:
        raise CannotMend("the first rows do not show what the tags should be")
    given = part(case, "tags")
    keep = {
        tag: word for tag, word in given.items() if tag in ROLE_TAGS and word in roles_in(case, str(tags["role_tag"]))
    }
    yield Mend(
        with_part(case, "tags", {**given, **tags, **keep}), "tags set in full, as the messages have them", Safety.SAFE
    )


def data_tags(case: EntryCase) -> dict[str, str]:
    """The tags that fit the first rows; empty where they do not show it."""
    entry = parse_entry(case.name, case.raw)
    messages = [item for row in case.rows for item in talk(row.get(entry.columns["messages"] or ""))]
    keys = {str(key) for message in messages for key in message}
    pairs = [pair for pair in (("role", "content"), ("from", "value")) if set(pair) <= keys]
    if len(pairs) != 1:
        return {}
    role_key, content_key = pairs[0]
    words = {word for message in messages if isinstance(word := message.get(role_key), str)}
    defaults = (
        TAG_DEFAULTS if role_key == "from" else {**TAG_DEFAULTS, "user_tag": "user", "assistant_tag": "assistant"}
    )
    blank = parse_entry(case.name, {"tags": {}})
    found = tags_renamed(blank, words) or {}
    return {**defaults, **found, "role_tag": role_key, "content_tag": content_key}


def talk(value: object) -> list[Mapping[str, object]]:
    """The turns of a value that is a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def roles_in(case: EntryCase, role_key: str) -> set[str]:
    """The role words of the first rows."""
    column = parse_entry(case.name, case.raw).columns["messages"] or ""
    return {word for row in case.rows for item in talk(row.get(column)) if isinstance(word := item.get(role_key), str)}


def tags_of_data(case: EntryCase) -> Iterator[Mend]:
    """Tags by the data's words, where all rows use others than the entry names."""
    entry = parse_entry(case.name, case.raw)
    if entry.formatting == "alpaca":
        return
    named = tags_renamed(entry, roles_in(case, entry.tags["role_tag"] or ""))
    if named is not None:
        words = ", ".join(f"{tag} {word!r}" for tag, word in named.items())
        tags = {tag: word for tag, word in entry.tags.items() if word is not None} | part(case, "tags") | named
        yield Mend(with_part(case, "tags", tags), f"tags: {words}, as in all rows", Safety.SAFE)


def tag_key_renamed(case: EntryCase) -> Iterator[Mend]:
    """A tag key that the trainer ignores: by the one that was meant, or taken out."""
    key, tags = key_of(case), part(case, "tags")
    near = get_close_matches(key, list(TAG_DEFAULTS), n=1, cutoff=0.6)
    if near and near[0] not in tags:
        yield Mend(with_part(case, "tags", renamed(tags, key, near[0])), f"tags: {key!r} made {near[0]!r}", Safety.SAFE)
    rest = {name: item for name, item in tags.items() if name != key}
    yield Mend(with_part(case, "tags", rest), f"tags.{key} taken out: the trainer ignores it", Safety.SAFE)


def entry_formed(case: EntryCase) -> Iterator[Mend]:
    """A formatting in other letters, or a bare file name as an entry."""
    if isinstance(case.value, str) and data_files(case.folder / case.value) is not None:
        entry = infer_entry(case.value, case.rows[0] if case.rows else {})
        yield Mend(entry.raw, "the bare file name made an entry, as its first row wants it", Safety.SAFE)
        return
    formatting = case.raw.get("formatting")
    if isinstance(formatting, str) and formatting not in FORMATTINGS:
        near = get_close_matches(formatting.lower().replace("_", "").replace("-", ""), FORMATTINGS, n=1, cutoff=0.8)
        if not near:
            raise CannotMend("no formatting is near")
        words = f"formatting: {formatting!r} made {near[0]!r}"
        yield Mend({**case.raw, "formatting": near[0]}, words, Safety.SAFE)


def split_taken_out(case: EntryCase) -> Iterator[Mend]:
    """A split that local files do not have, taken out."""
    rest = {name: item for name, item in case.raw.items() if name != "split"}
    yield Mend(rest, f"split {case.raw.get('split')!r} taken out: all rows", Safety.UNSAFE)
