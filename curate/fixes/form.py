"""Form: what can be read as the form that the trainer wants, written in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from curate.fixes.json_text import DECODER, spelling
from curate.fixes.protocol import CannotMend, Case, Mend
from curate.fixes.turns import at, entries_of, put_in_row, steps
from validators.model import MediaKind, Role
from validators.rules.fixable import Safety

PATH_KEYS = ("path", "url", "image", "video", "audio", "file", "file_name", "image_url", "video_url")
PART_KINDS: Mapping[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "image_url": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "video_url": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "audio_url": MediaKind.AUDIO,
}


def messages_as_list(case: Case) -> Iterator[Mend]:
    """A list that was written out as text, read again."""
    path = steps(case.place)
    given = at(case.value, path)
    if isinstance(given, str):
        try:
            read, end = DECODER.raw_decode(given.strip())
        except (ValueError, RecursionError) as error:
            raise CannotMend("the text is no JSON list") from error
        if isinstance(read, list) and end == len(given.strip()):
            yield Mend(put_in_row(case.value, path, read), "text that holds a JSON list made a list", Safety.SAFE)
    if isinstance(given, Mapping):
        yield Mend(put_in_row(case.value, path, [given]), "one turn put into a list", Safety.SAFE)


def messages_as_objects(case: Case) -> Iterator[Mend]:
    """A list of bare texts, as question and answer in turn."""
    column = case.entry.columns["messages"] or ""
    tags = case.entry.tags
    texts = case.value.get(column)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CannotMend("not all turns are texts")
    role, content, speakers = tags["role_tag"], tags["content_tag"], (tags["user_tag"], tags["assistant_tag"])
    if role is not None and content is not None and None not in speakers:
        turns = [{role: speakers[number % 2], content: text} for number, text in enumerate(texts)]
        yield Mend({**case.value, column: turns}, "texts made turns of user and assistant", Safety.UNSAFE)


def content_as_text(case: Case) -> Iterator[Mend]:
    """Parts joined to one text with tags, numbers and objects written out."""
    path = steps(case.place)
    given = at(case.value, path)
    if isinstance(given, bool | int | float):
        yield Mend(put_in_row(case.value, path, spelling(given)), "written as text", Safety.SAFE)
    elif is_parts(given) and len(path) > 1:
        yield from joined_parts(case)
    elif isinstance(given, Mapping | list) and holds_json(case, path):
        text = json.dumps(given, ensure_ascii=False)
        yield Mend(put_in_row(case.value, path, text), "the JSON value written as text", Safety.SAFE)


def is_parts(content: object) -> bool:
    """Whether content is a list of parts, or one part by itself."""
    parts = content if isinstance(content, list) else [content]
    return all(isinstance(part, str) or (isinstance(part, Mapping) and "type" in part) for part in parts)


def holds_json(case: Case, path: tuple[str | int, ...]) -> bool:
    """Whether the trainer wants JSON as text at a place: the tools, a call, what a tool says."""
    if path == (case.entry.columns["tools"],):
        return True
    message, key = at(case.value, path[:-1]), case.entry.tags["role_tag"]
    word = message.get(key) if isinstance(message, Mapping) and key is not None else None
    role = case.entry.role_names().get(word) if isinstance(word, str) else None
    return len(path) > 1 and role in (Role.FUNCTION, Role.OBSERVATION)


def joined_parts(case: Case) -> Iterator[Mend]:
    """All turns of the row whose content is a list of parts, at once: their media come in the order of the turns."""
    column, key = case.entry.columns["messages"] or "", case.entry.tags["content_tag"] or ""
    messages = case.value.get(column)
    row = dict(case.value)
    added: dict[MediaKind, list[object]] = {}
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get(key) if isinstance(message, Mapping) else None
        if content is not None and not isinstance(content, str) and is_parts(content):
            parts = content if isinstance(content, list) else [content]
            text = "".join(part_text(part, added) for part in parts)
            row = dict(put_in_row(row, (column, number, key), text))
    words = "the parts joined to one text"
    for kind, paths in added.items():
        name = case.entry.media_column(kind)
        if name is None:
            raise CannotMend(f"{kind.column} are among the parts, and the entry maps no column for them")
        if present := entries_of(row, case.entry, kind):
            if len(present) == len(paths):
                continue  # the list was there beside the parts
            raise CannotMend(f"{kind.column} stand both among the parts and in {name!r}")
        row[name] = paths
        words += f", {len(paths)} paths put into {name!r}"
    yield Mend(row, words, Safety.UNSAFE if added else Safety.SAFE)


def part_text(part: object, media: dict[MediaKind, list[object]]) -> str:
    """One part of a content list as text; a medium's path goes to the lists."""
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = PART_KINDS.get(str(part.get("type"))) if isinstance(part, Mapping) else None
    if kind is None or not isinstance(part, Mapping):
        raise CannotMend("a part is neither text nor a medium")
    given = part.get(str(part["type"]), part.get("path", part.get("url")))
    path = given if isinstance(given, str) else path_in(given)
    if path is None:
        if given is None:
            return kind.tag  # datasets that keep the files in a list of their own
        raise CannotMend(f"a part of type {part['type']} without a path")
    if path.startswith(("data:", "http:", "https:")):
        raise CannotMend("a part's medium is no local file")
    media.setdefault(kind, []).append(path)
    return kind.tag


def path_in(item: object) -> str | None:
    """The one path in an object; None where there is none, or more than one."""
    if not isinstance(item, Mapping):
        return None
    paths = [item[key] for key in PATH_KEYS if isinstance(item.get(key), str) and item[key]]
    return paths[0] if len(paths) == 1 else None


def text_of_number(case: Case) -> Iterator[Mend]:
    """A number where text should be, written as text."""
    path = steps(case.place)
    given = at(case.value, path)
    if isinstance(given, bool | int | float):
        yield Mend(put_in_row(case.value, path, spelling(given)), "written as text", Safety.SAFE)


def media_as_paths(case: Case) -> Iterator[Mend]:
    """Objects and lists of one path made that path, in the whole list; or what holds no path left out."""
    column = str(steps(case.place)[0])
    kind = next((kind for kind in MediaKind if case.entry.media_column(kind) == column), None)
    if kind is None:
        return
    items = entries_of(case.value, case.entry, kind)
    flat = [flattened(item, kind) for item in items]
    if flat != items and all(item not in (None, "") for item in flat):
        yield Mend({**case.value, column: flat}, f"{column}: paths taken out of the objects around them", Safety.SAFE)
    full = [item for item in flat if item not in (None, "")]
    if len(full) < len(items):
        words = f"{column}: {len(items) - len(full)} empty entries taken out"
        yield Mend({**case.value, column: full}, words, Safety.UNSAFE)


def flattened(item: object, kind: MediaKind) -> object:
    """A path out of `{"path": …}`, and out of a list of one where no list of frames can be meant."""
    if isinstance(item, list) and len(item) == 1 and kind is not MediaKind.VIDEO:
        return flattened(item[0], kind)
    return path_in(item) or item
