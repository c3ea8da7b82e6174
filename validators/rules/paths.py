"""MED: paths that do not lead to a file, or not everywhere, and files that are not what they seem."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from validators.findings import Found, Place
from validators.model import MediaKind, Outcome
from validators.probes.address import scheme_of
from validators.probes.facts import Health, Trait, traits_of
from validators.probes.placeholder import DRAWING, POINTER
from validators.rules.entries import entries, place_of, when_opened
from validators.rules.rule import BatchView

QUICKTIME = "mov,mp4,m4a,3gp,3g2,mj2"
FORMATS: Mapping[str, str] = (
    {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tif": "tiff"}
    | {"tiff": "tiff", "avif": "avif", "heic": "heif", "heif": "heif"}
    | dict.fromkeys(("mp4", "mov", "m4v", "m4a", "3gp", "3g2"), QUICKTIME)
    | {"mkv": "matroska,webm", "webm": "matroska,webm", "mka": "matroska,webm", "avi": "avi", "flv": "flv"}
    | {"wav": "wav", "mp3": "mp3", "flac": "flac", "ogg": "ogg", "opus": "ogg", "oga": "ogg", "ogv": "ogg"}
)
"""What an extension stands for, in the words of Pillow and FFmpeg."""
SAME: Mapping[str, str] = {"mpo": "jpeg", "dib": "bmp", "w64": "wav", "rf64": "wav"}
UNITS = {MediaKind.IMAGE: "pixels", MediaKind.VIDEO: "frames", MediaKind.AUDIO: "samples"}
CURES = {POINTER: "run `git lfs pull`", DRAWING: "draw it to pixels: `rsvg-convert IN -o OUT.png`"}
MOST_NAMES = 100_000  # of a folder


@dataclass(frozen=True, slots=True)
class Absent:
    """An entry without its file. near: a file beside it with the same name in other letters."""

    place: Place
    path: str
    near: str
    detail: str
    outcome: Outcome | None

    @property
    def plain(self) -> bool:
        """Whether nothing more is known than that there is no such file."""
        return not self.near and not scheme_of(self.path) and "\\" not in self.path

    def found(self, found: str, expected: str, cure: str = "") -> Found:
        """A finding at this entry."""
        return Found(self.place, found, expected, cure, self.outcome)


def missing(view: BatchView) -> Iterator[Absent]:
    """The entries whose file is not there."""
    outcome = when_opened(view)
    gone = view.media.filter(pl.col("health") == Health.MISSING.value)
    columns = gone.select("row", "kind", "slot", "path", "detail", "outside")
    for row, kind, slot, path, detail, outside in columns.iter_rows():
        near = "" if outside or scheme_of(path) else near_name(detail)  # folders outside the root are not looked into
        yield Absent(place_of(view, row, kind, slot), path, near, detail, outcome)


def near_name(path: str) -> str:
    """The name of a file in the same folder that is the same but for capitals and the form of letters; "" without."""
    folder, name = os.path.split(path)
    try:
        changed = os.stat(folder or ".").st_mtime_ns  # noqa: PTH116
    except (OSError, ValueError):
        return ""
    near = names_in(folder or ".", changed).get(bare(name), "")
    return "" if near == name else near


@lru_cache(maxsize=64)
def names_in(folder: str, changed: int) -> Mapping[str, str]:
    """The names of a folder by their bare form; of a huge folder the first that the system gives."""
    found: dict[str, str] = {}
    try:
        with os.scandir(folder) as listed:
            for number, item in enumerate(listed):
                if number >= MOST_NAMES:
                    break
                if item.is_file():
                    found[bare(item.name)] = item.name
    except (OSError, ValueError):
        pass
    return found


def bare(name: str) -> str:
    """A name without what file systems disagree over."""
    return unicodedata.normalize("NFC", name).casefold()


def name_spelt_otherwise(view: BatchView) -> Iterator[Found]:
    """A media file whose name is spelt in another way.

    ## What it finds
    A path that is no file, beside a file whose name differs only in capitals or in the form of its Unicode letters.

    ## Why it matters
    macOS and Windows take both for the same name, Linux does not. LLaMA-Factory 0.9.5 keeps the path as written
    (data/converter.py: _find_medias) and stops the whole run when it opens it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["Cat.JPG"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write the name as the file has it, or rename the file.
    """
    for absent in missing(view):
        if absent.near:
            yield absent.found(f"{absent.path} not found, but {absent.near} is there", "the name as the file has it")


def address_instead_of_file(view: BatchView) -> Iterator[Found]:
    """A media entry that is an address.

    ## What it finds
    `https://…`, `s3://…` or the like where the trainer wants a file: for images any, for videos and sounds all but
    http and https, which FFmpeg fetches.

    ## Why it matters
    LLaMA-Factory 0.9.5 fetches nothing: Pillow takes the address for a file's name (data/mm_plugin.py:
    _regularize_images) and the whole run stops.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["https://example.com/cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Download the files, and write their paths.
    """
    for absent in missing(view):
        if scheme_of(absent.path):
            yield absent.found(f"{absent.path} is an address", "a path under the media root")


def backslash_in_path(view: BatchView) -> Iterator[Found]:
    """A path of Windows.

    ## What it finds
    A path with backslashes that is no file here.

    ## Why it matters
    On Linux and macOS a backslash is a letter of the name. LLaMA-Factory 0.9.5 keeps the path as written
    (data/converter.py: _find_medias) and stops the whole run when it opens it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": [".\\\\cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write slashes, which Windows takes as well.
    """
    for absent in missing(view):
        if "\\" in absent.path and not scheme_of(absent.path) and not absent.near:
            yield absent.found(f"{absent.path} not found", "slashes between folders")


def placeholder_for_media(view: BatchView) -> Iterator[Found]:
    """A small text that stands where a medium should be.

    ## What it finds
    A Git LFS pointer, a web page, an error message of a server, or an SVG drawing, in a file listed as a medium.

    ## Why it matters
    A clone without `git lfs pull`, or a download that was refused. LLaMA-Factory 0.9.5 stops the whole run with
    "cannot identify image file" or "Invalid data found" (data/mm_plugin.py), and never says what is in the file.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["pointer.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch the file again; for a pointer, run `git lfs pull`; draw an SVG to pixels.
    """
    for place, path, detail in entries(view, Health.PLACEHOLDER):
        yield Found(place, f"{path}: {detail}", "the medium itself", CURES.get(detail, ""), when_opened(view))


def extension_belies_content(view: BatchView) -> Iterator[Found]:
    """A file whose extension names another format.

    ## What it finds
    A content that Pillow or FFmpeg takes for another format than the extension stands for, such as a WebP called .jpg.

    ## Why it matters
    LLaMA-Factory 0.9.5 goes by content, and reads it. Other loaders, web servers, viewers and the tools of the Hub go
    by name.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["webp.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Rename the file, and its path in the data.
    """
    ending = pl.col("path").str.to_lowercase().str.extract(r"\.([a-z0-9]+)$")
    stated = ending.replace_strict(FORMATS, default=None, return_dtype=pl.String)
    content = pl.col("form").str.to_lowercase().replace(SAME)
    known = view.media.filter((pl.col("form") != "") & (stated != content))
    for row, kind, slot, path, form in known.select("row", "kind", "slot", "path", "form").iter_rows():
        yield Found(place_of(view, row, kind, slot), f"{path}: holds {form}", "an extension that says so")


def absolute_path(view: BatchView) -> Iterator[Found]:
    """A path that holds on one machine.

    ## What it finds
    An absolute path that leads into the media root. One that leads out of it is MED201.

    ## Why it matters
    LLaMA-Factory 0.9.5 opens it (data/converter.py: _find_medias), here. Where the folder has another name, on a
    cluster or a colleague's machine, no file is found.

    ## Bad
    ```yaml train.yaml
    media_dir: /
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["/data/cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write the path from the media root.
    """
    anywhere = pl.col("path").str.contains(r"^(/|[A-Za-z]:/)")
    inside = view.media.filter(anywhere & ~pl.col("outside"))
    for row, kind, slot, path in inside.select("row", "kind", "slot", "path").iter_rows():
        yield Found(place_of(view, row, kind, slot), f"{path} is absolute", "a path from the media root")


def fetched_while_training(view: BatchView) -> Iterator[Found]:
    """A video or sound that training fetches from the network.

    ## What it finds
    An address of http or https among videos or audios.

    ## Why it matters
    PyAV and torchcodec hand it to FFmpeg, which fetches it, in preprocessing and again at each step of each epoch.
    One that fails to answer stops the run of LLaMA-Factory 0.9.5 (data/mm_plugin.py: _regularize_videos). Nothing is
    fetched for this check, and such rows are not counted.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "videos": ["https://example.com/clip.mp4"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Download the files, and write their paths.
    """
    for place, path, _ in entries(view, Health.REMOTE):
        yield Found(place, f"{path} is fetched at every step", "a path under the media root")


def playlist_for_media(view: BatchView) -> Iterator[Found]:
    """A playlist in place of a video or sound: the trainer opens the files that it names.

    ## What it finds
    A video or sound that FFmpeg takes for a list of other files: HLS (m3u8), ffconcat, or a name with a pattern of
    numbers (frame%03d.png).

    ## Why it matters
    LLaMA-Factory 0.9.5 opens videos with PyAV and no limits (data/mm_plugin.py: _regularize_videos), and sounds with
    torchaudio, and FFmpeg behind both reads whatever local files the list names. They are no part of the dataset:
    elsewhere they are missing, and the run stops, or they are others. A list with an absolute path or an address stops
    the run as well, where FFmpeg refuses it. Nothing of the list is followed here, and such rows are not counted.

    ## Bad
    ```text list.m3u8
    #EXTM3U
    #EXT-X-TARGETDURATION:3
    #EXTINF:3,
    stream.ts
    #EXT-X-ENDLIST
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["list.m3u8"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Join the parts into one file: ffmpeg -i LIST.m3u8 -c copy OUT.mp4
    """
    for place, path, detail in entries(view, Health.PLAYLIST):
        yield Found(place, f"{path} is a playlist: {detail}", "a file that holds the medium itself")


def media_not_decoded_whole(view: BatchView) -> Iterator[Found]:
    """A file too large to be decoded whole.

    ## What it finds
    With `--depth decode`, an image of more than 134 million pixels; a video of more than 100,000 frames or 68 billion
    pixels; a sound of more than 268 million samples a channel.

    ## Why it matters
    What lies beyond was not looked at, and the outcome of the row rests on the header. LLaMA-Factory 0.9.5 decodes the
    whole file, once in preprocessing and once an epoch.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["vast.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Make it smaller, or cut it into parts.
    """
    for row, kind, slot, path, traits in (
        view.media.filter(pl.col("traits").str.contains(Trait.PARTLY.value, literal=True))
        .select("row", "kind", "slot", "path", "traits")
        .iter_rows()
    ):
        seen = traits_of(traits).get(Trait.PARTLY, 0)
        what = f"the first {seen:.0f} {UNITS[MediaKind(kind)]}" if seen else "the header alone"
        yield Found(place_of(view, row, kind, slot), f"{path}: {what} was read", "a file that can be decoded here")
