"""Label Studio's JSON export: tasks with `data` and `annotations`; an answer is a text area's text or a choice.

Documented in Label Studio's task format. The first annotation that was not cancelled counts, a ground truth before
others. `columns: {caption: NAME}` names the control (its from_name) where a project has several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from curate.ingest import tables
from curate.ingest.fields import Fields, look_up
from curate.ingest.given import by_suffix, short
from curate.ingest.raw import Intake, Media, NoUse, RawItem, Turn, kind_by_suffix
from validators.model import Role

LOCAL_FILES, UPLOADS = "/data/local-files/", "/data/upload/"
COLUMNS = ("caption", "question")


def read(intake: Intake) -> Iterator[RawItem]:
    """Stream the tasks."""
    return tables.read(intake, item)


def item(fields: Fields) -> RawItem:
    """One task."""
    data = fields.get("data")
    if not isinstance(data, Mapping):
        raise NoUse("a task without data")
    paths = {key: path for key, value in data.items() if (path := media_path(value)) is not None}
    media: Media = tuple(entry for path in paths.values() for entry in by_suffix(path))
    if not media:
        raise NoUse("a task without a medium")
    annotation = chosen(fields)
    name = fields.options.columns.get("caption")
    caption = answer(annotation, name)
    asked = fields.options.columns.get("question")
    question = look_up(data, asked.removeprefix("data.")) if asked else None
    known = {*paths, (asked or "").removeprefix("data.")}
    fields.leave(*(f"data.{key}" for key in data if key not in known))
    if question is None:
        return fields.item(media, caption=caption)
    if not isinstance(question, str) or not question.strip():
        raise NoUse(f"data.{asked} is {short(question)}")
    return fields.item(media, (Turn(Role.USER, question.strip()), Turn(Role.ASSISTANT, caption)))


def media_path(value: object) -> str | None:
    """A medium's path below Label Studio's media folder, or its address; None where a value is no medium.

    Uploads are served under /data/upload/, local files under /data/local-files/?d=PATH.
    """
    if not isinstance(value, str):
        return None
    if value.startswith(LOCAL_FILES):
        value = parse_qs(urlsplit(value).query).get("d", [""])[0]
    elif value.startswith(UPLOADS):
        value = value.removeprefix("/data/")
    address = "://" in value
    return value if kind_by_suffix(urlsplit(value).path if address else value) is not None else None


def chosen(fields: Fields) -> Mapping[str, object]:
    """The annotation that counts."""
    listed = fields.get("annotations")
    usable = [
        entry
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, Mapping) and not entry.get("was_cancelled") and entry.get("result")
    ]
    if not usable:
        raise NoUse("no annotation that was not cancelled")
    if len(usable) > 1:
        fields.leave("annotations beyond the first")
    return next((entry for entry in usable if entry.get("ground_truth")), usable[0])


def answer(annotation: Mapping[str, object], name: str | None) -> str:
    """The text of the named control, or of the only one that gives text."""
    texts: dict[str, list[str]] = {}
    results = annotation.get("result")
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, Mapping) else None
        if not isinstance(value, Mapping):
            continue
        said = value.get("text") if result.get("type") == "textarea" else value.get("choices")
        if said:
            entries = said if isinstance(said, list) else [said]
            texts.setdefault(str(result.get("from_name")), []).extend(str(entry) for entry in entries)
    if name is None and len(texts) > 1:
        raise NoUse(f"several answers: {', '.join(texts)}; columns: {{caption: NAME}} chooses one")
    said = texts.get(name) if name is not None else next(iter(texts.values()), None)
    text = "\n".join(said or ()).strip()
    if not text:
        raise NoUse(f"no text from {name}" if name is not None else "no text in the annotation")
    return text


def fits(rows: Sequence[Mapping[str, object]]) -> bool:
    """Whether rows are tasks."""
    return bool(rows) and all(
        isinstance(r.get("data"), Mapping) and isinstance(r.get("annotations"), list) for r in rows
    )
