"""WebDataset: tar shards whose members are grouped by name, KEY.jpg with KEY.txt or KEY.json.

Grouped as the webdataset library does (tariterators.py: base_plus_ext, group_by_keys) and `datasets` 4.0.0 after it:
the key is the path up to the first dot of its last part, neighbours with one key are a sample, endings are lower case.
Nothing is written to disk here, members that are no plain files are left, and each has to be of a bearable size.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from curate.ingest.captions import with_media
from curate.ingest.fields import Fields
from curate.ingest.given import MAX_BLOB_BYTES
from curate.ingest.llava import KEYS, has_turns
from curate.ingest.raw import Blob, Intake, Media, NoUse, RawItem, kind_by_suffix
from curate.ingest.speech import read_messages, talk
from validators.errors import UsageFault

NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
META = re.compile(r"__[^/]*__($|/)")
CAPTIONS = ("txt", "text", "caption", "transcript")
JSON = ("json", "jsn")
NUMBERS = ("cls", "cls2", "id", "index", "inx")
TEXTS = (*CAPTIONS, *JSON, *NUMBERS)
MAX_TEXT_BYTES = 16 << 20
MAX_HEADER_BYTES = 1 << 20
SUFFIXES = (".tar", ".tar.gz", ".tgz")
Members = dict[str, bytes]


class BoundedInfo(tarfile.TarInfo):
    """A member whose long name or extended header cannot fill the memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        long_name = self.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        extended = self.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if (long_name or extended) and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def read(intake: Intake) -> Iterator[RawItem]:
    """The samples of a shard, or of a folder's shards in the order of their names."""
    for path in shards(intake.path):
        for row, (members, problem) in enumerate(samples(path)):
            try:
                if problem:
                    raise NoUse(problem)
                yield item(path, row, members, intake)
            except NoUse as reason:
                yield RawItem(path, row, problem=str(reason))


def shards(path: Path) -> list[Path]:
    """The file itself, or the shards in a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(item for item in path.iterdir() if item.name.lower().endswith(SUFFIXES) and item.is_file())
    if not found:
        raise UsageFault(path, "no tar file in it", "WebDataset shards")
    return found


def samples(path: Path) -> Iterator[tuple[Members, str]]:
    """Each sample's members by ending, in their order, and why it is of no use if it is not."""
    key: str | None = None
    members: Members = {}
    problem = ""
    try:
        with tarfile.open(path, mode="r|*", tarinfo=BoundedInfo) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # else the list of members grows with the shard
                name = NAME.match(info.name)
                if name is None or not info.isreg() or META.match(info.name):
                    continue
                if name[1] != key:
                    if key is not None:
                        yield members, problem
                    key, members, problem = name[1], {}, ""
                ending = name[2].lower()
                last = ending.rpartition(".")[2]
                limit = MAX_BLOB_BYTES if kind_by_suffix(f"medium.{last}") else MAX_TEXT_BYTES
                if ending in members:
                    problem = f"two members {ending} in one sample"
                elif limit == MAX_TEXT_BYTES and last not in TEXTS:
                    members[ending] = b""  # named, not read
                elif info.size > limit:
                    problem = f"{ending} is larger than {limit >> 20} MiB"
                elif sum(map(len, members.values())) + info.size > 2 * MAX_BLOB_BYTES:
                    problem = f"larger than {2 * MAX_BLOB_BYTES >> 20} MiB"
                else:
                    content = archive.extractfile(info)
                    if content is not None:
                        with closing(content):
                            members[ending] = content.read()
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UsageFault(path, f"not a readable tar file: {error}", "a WebDataset shard") from error
    if key is not None:
        yield members, problem


def item(path: Path, row: int, members: Members, intake: Intake) -> RawItem:
    """One sample: its media in their order, its JSON's fields, and the caption of a text member."""
    media: Media = ()
    fields: dict[str, object] = {}
    left = []
    for ending, data in members.items():
        kind = kind_by_suffix(f"medium.{ending}")
        last = ending.rpartition(".")[2]
        if kind is not None:
            if not data:
                raise NoUse(f"{ending} is empty")
            media += ((kind, Blob(data, f"medium.{last}")),)
        elif last in JSON:
            fields |= object_of(data, ending)
        elif last in CAPTIONS:
            fields["caption" if last == ending else ending] = text_of(data, ending).strip()
        elif last in NUMBERS:
            fields[ending] = text_of(data, ending).strip()
        else:
            left.append(ending)
    named = Fields(path, row, fields, intake.options)
    named.leave(*left)
    if has_turns(fields, "conversations", KEYS):
        return talk(named, read_messages(named, named.get("conversations"), KEYS, "conversations"), media)
    return with_media(named, media)


def object_of(data: bytes, ending: str) -> Mapping[str, object]:
    """The object in a JSON member."""
    try:
        value = json.loads(text_of(data, ending))
    except (ValueError, RecursionError) as error:
        raise NoUse(f"{ending} is no JSON") from error
    return value if isinstance(value, dict) else {ending: value}


def text_of(data: bytes, ending: str) -> str:
    """A text member."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoUse(f"{ending} is not UTF-8") from None
