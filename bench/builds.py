"""`make bench-builds`: a build of a million rows of text, and one of 100,000 rows with media: memory and speed.

Makes its input (text as JSON lines and CSV, with equal and nearly equal rows; JPEG, WAV and MP4 files, each of its own
content), builds it with `curate build` in a process of its own, and holds the counts of the build against what was put
in. Prints a table and writes it to bench/builds.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import random
import re
import sys
import tempfile
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CURATE = str(Path(sys.executable).with_name("curate"))
ROWS, MEDIA_ROWS = 1_000_000, 100_000
LIMIT = 2048  # MiB
SYLLABLES = "ba do ke lu mi na po ra se ti vo wa zu che gri fla sto pra ne shi quo"
FORMS = ("plain",) * 86 + ("equal",) * 3 + ("near",) * 5 + ("short",) * 2 + ("garbled",) * 3 + ("broken",)
TEXT_RECIPE = """
version: 1
target: built
datasets:
  - name: text
    sources:
      - {format: sharegpt, path: chat.jsonl}
      - {format: alpaca, path: tasks.csv}
    steps:
      - filter: "answer_chars >= 20"
      - clean
      - repair
      - dedup: {text: 0.85}
      - split: {eval: 0.01}
      - shuffle: {seed: 3}
mixes:
  - {name: blend, of: {text: 9, text_eval: 1}, rows: ROWS}
"""
MEDIA_RECIPE = """
version: 1
target: built
media: store
datasets:
  - name: media
    sources: [{format: sharegpt, path: rows.jsonl}]
    steps:
      - filter: "width IS NULL OR width >= 48"
      - clean
      - repair
      - dedup: {text: any, images: exact, audios: exact, videos: exact}
      - split: {eval: 0.01, stratify: kinds}
      - shuffle: {seed: 3}
mixes:
  - {name: blend, of: {media: 9, media_eval: 1}, rows: ROWS}
"""


@dataclass(slots=True)
class Memory:
    """The most that a process held, in MiB: all of it, and without the pages of files that are mapped."""

    whole: float = 0.0
    own: float = 0.0


@dataclass(frozen=True, slots=True)
class Build:
    """A build as it was measured. rows: those of its sources; seconds, seconds of all cores, and memory of the whole
    process."""

    rows: int
    seconds: float
    work: float
    memory: Memory

    @property
    def speed(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def sentences(chance: random.Random, count: int) -> list[str]:
    """Sentences of made-up words; one in twenty is in Chinese characters."""
    syllables = SYLLABLES.split()
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(20_000)]
    made = []
    for number in range(count):
        if number % 20 == 0:
            made.append("".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(chance.randint(20, 40))) + "。")
        else:
            made.append(" ".join(chance.choices(words, k=chance.randint(8, 16))).capitalize() + ".")
    return made


def talks(count: int, put: Counter[str]) -> Iterator[tuple[str, str]]:
    """Questions and answers; some are equal to an earlier one, nearly so, too short, garbled, or without a form."""
    chance = random.Random(5)
    pool = sentences(chance, 200_000)
    past: list[tuple[str, str]] = []
    for number in range(count):
        form = chance.choice(FORMS) if past else "plain"
        put[form] += 1
        question, answer = f"{chance.choice(pool)} ({number})", " ".join(chance.choices(pool, k=chance.randint(3, 6)))
        match form:
            case "plain" if len(past) < 50_000:
                past.append((question, answer))
            case "equal":
                question, answer = past[chance.randrange(len(past))]
            case "near":
                question, answer = past[chance.randrange(len(past))]
                # its own word in the answer, so that two rows near to one row are not equal
                answer = f"{answer} Yes {number}."
            case "short":
                answer = f"No {number}."
            case "garbled":
                answer = f"{answer} It’s number {number}.".replace("’", "â€™")
            case "broken":
                question = f"<image> {question}"
        yield question, answer


def make_text(folder: Path, count: int) -> Counter[str]:
    """chat.jsonl, three rows in five, and tasks.csv."""
    put: Counter[str] = Counter()
    with (
        (folder / "chat.jsonl").open("w", encoding="utf-8") as lines,
        (folder / "tasks.csv").open("w", encoding="utf-8", newline="") as cells,
    ):
        table = csv.writer(cells)
        table.writerow(("instruction", "input", "output"))
        for number, (question, answer) in enumerate(talks(count, put)):
            if number % 5 < 3:
                turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
                lines.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
            else:
                table.writerow((question, "", answer))
    (folder / "recipe.yaml").write_text(TEXT_RECIPE.replace("ROWS", str(count // 10)))
    return put


def make_media(folder: Path, count: int) -> Counter[str]:
    """rows.jsonl and its files: of a hundred, 92 pictures, six sounds and two videos; one picture in fifty a copy."""
    from PIL import Image

    chance = random.Random(6)
    noise = Image.effect_noise((512, 512), 60).convert("RGB")
    pool = sentences(chance, 20_000)
    put: Counter[str] = Counter()
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(count):
            kind = "image" if number % 100 < 92 else "audio" if number % 100 < 98 else "video"
            form = "plain"
            name = f"{number // 1000:03d}/{number:06d}.{ {'image': 'jpg', 'audio': 'wav', 'video': 'mp4'}[kind] }"
            file = folder / name
            file.parent.mkdir(exist_ok=True)
            if kind == "image" and number % 50 == 49:
                form = "equal"
                file.hardlink_to(folder / f"{(number - 1) // 1000:03d}/{number - 1:06d}.jpg")
            elif kind == "image":
                # one in a hundred is smaller than the recipe takes
                form = "small" if number % 100 == 7 else "plain"
                side = 40 if form == "small" else 64 + 8 * (number % 13)
                at = chance.randrange(512 - side), chance.randrange(512 - side)
                picture = noise.crop((*at, at[0] + side, at[1] + side))
                picture.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536))
                # the number as a comment: no two files are equal, whatever the encoder rounds
                picture.save(file, quality=60, comment=str(number).encode())
            elif kind == "audio":
                file.write_bytes(sound(number))
            else:
                file.write_bytes(video(number))
            put[form] += 1
            question = f"<{kind}>{chance.choice(pool)} ({number})"
            turns = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": " ".join(chance.choices(pool, k=3))},
            ]
            lines.write(json.dumps({"messages": turns, f"{kind}s": [name]}, ensure_ascii=False) + "\n")
    (folder / "recipe.yaml").write_text(MEDIA_RECIPE.replace("ROWS", str(count // 10)))
    return put


def sound(number: int) -> bytes:
    """A tenth of a second of noise."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(random.Random(number).randbytes(3200))
    return file.getvalue()


def video(number: int) -> bytes:
    """Four frames in one colour, its own."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 64
        container.metadata["comment"] = str(number)
        frame = np.full((64, 64, 3), (number % 256, number // 256 % 256, number // 65536), np.uint8)
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def watch(process: int, memory: Memory, ended: threading.Event) -> None:
    """Follow a process's own memory until it ends."""
    status = Path(f"/proc/{process}/status")
    while not ended.wait(0.2):
        try:
            found = re.search(r"^RssAnon:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        except OSError:
            return
        if found is not None:
            memory.own = max(memory.own, int(found[1]) / 1024)


def measure(folder: Path, rows: int) -> Build:
    """One `curate build`: peak memory of it and of what it starts, and its wall time."""
    memory, ended = Memory(), threading.Event()
    started = time.perf_counter()
    child = os.spawnv(os.P_NOWAIT, CURATE, [CURATE, "build", str(folder / "recipe.yaml")])
    follower = threading.Thread(target=watch, args=(child, memory, ended))
    follower.start()
    _, status, usage = os.wait4(child, 0)
    taken = time.perf_counter() - started
    ended.set()
    follower.join()
    if status:
        raise SystemExit("bench: the build failed")
    memory.whole = usage.ru_maxrss / 1024
    return Build(rows, taken, usage.ru_utime + usage.ru_stime, memory)


def check(build: Build, folder: Path, name: str, expected: dict[str, int]) -> None:
    """Hold the manifest, the ledger and the written rows against what was put in; SystemExit where they do not agree.

    expected: rows that each reason of the ledger has, by its first words.
    """
    target = folder / "built"
    datasets = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["datasets"]
    with (target / "ledger.jsonl").open(encoding="utf-8") as ledger:
        dropped = Counter(
            next((words for words in expected if entry["reason"].startswith(words)), entry["reason"])
            for entry in map(json.loads, ledger)
            if entry["action"] == "dropped"
        )
    for words, count in expected.items():
        # MinHash misses a few of the pairs that are nearly equal
        if abs(dropped[words] - count) > (count // 500 if words.startswith("near") else 0):
            raise SystemExit(f"bench: {dropped[words]} rows dropped for {words!r}, {count} were put in")
    if others := set(dropped) - set(expected):
        raise SystemExit(f"bench: dropped for other reasons, too: {sorted(others)[:5]}")
    written = datasets[name]["rows"] + datasets[f"{name}_eval"]["rows"]
    if written != build.rows - sum(dropped.values()):
        raise SystemExit(f"bench: {written} rows written of {build.rows}, {sum(dropped.values())} dropped")
    for each, facts in datasets.items():
        with (target / facts["data"][0]["file"]).open(encoding="utf-8") as file:
            rows = sum(line == '    "messages": [\n' for line in file)
        if rows != facts["rows"]:
            raise SystemExit(f"bench: {rows} rows in {each}.json, {facts['rows']} in the manifest")


def build_text(folder: Path, rows: int) -> Build:
    """The rows of text."""
    folder.mkdir(parents=True)
    put = make_text(folder, rows)
    build = measure(folder, rows)
    check(
        build,
        folder,
        "text",
        {
            "the same row": put["equal"],
            "near text": put["near"],
            "not answer_chars": put["short"],
            "1 <image> for": put["broken"],
        },
    )
    return build


def build_media(folder: Path, rows: int) -> Build:
    """The rows with media."""
    folder.mkdir(parents=True)
    put = make_media(folder, rows)
    build = measure(folder, rows)
    check(build, folder, "media", {"same images": put["equal"], "not width": put["small"]})
    return build


def main() -> int:
    """Measure and report; 1 where a build took more than LIMIT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of text")
    parser.add_argument("--media-rows", type=int, default=MEDIA_ROWS, help="rows with media")
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        text = build_text(folder / "text", args.rows)
        media = build_media(folder / "media", args.media_rows)
    lines = [
        "# Large builds",
        "",
        f"`make bench-builds`, Python {platform.python_version()}, {os.cpu_count()} cores: filter, clean, repair, "
        "dedup, split, shuffle and a mixture.",
        "",
        "| what | measured | limit |",
        "|---|---|---|",
    ]
    for words, build in (
        (f"{args.rows} rows of text (JSON lines, CSV), near doubles dropped", text),
        (f"{args.media_rows} rows with a JPEG, WAV or MP4 each, stored by content, equal pictures dropped", media),
    ):
        lines += [
            f"| `curate build` of {words} | {build.seconds:.0f} s, {build.speed:.0f} rows/s | |",
            f"| its time on all cores together | {build.work:.0f} s | |",
            f"| its peak memory | {build.memory.whole:.0f} MiB | {LIMIT} MiB |",
            f"| of it without mapped files | {build.memory.own:.0f} MiB | |",
        ]
    table = "\n".join(lines) + "\n"
    print(table)
    if (args.rows, args.media_rows) == (ROWS, MEDIA_ROWS):
        (ROOT / "bench" / "builds.md").write_text(table, encoding="utf-8")
    late = [name for name, build in (("text", text), ("media", media)) if build.memory.whole > LIMIT]
    if late:
        print(f"bench: past the limit of memory: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
