"""Rows of every kind that MiniCPM's models are trained with, made from a seed, and the table of how they end.

For models of which the code is at hand: the published one (real_minicpm.py) and the demo's own.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from tests.agreement.compare import Arena, Verdict
from tests.agreement.faults import TAG, TEXTS, Entry, Row, entry_for
from tests.agreement.high_fps import make_clips, registered
from tests.agreement.media_factory import Stock, picture
from tests.agreement.oracle import Oracle
from tests.agreement.strategies import CLEAR, EDGE, Case, Plan, padded
from tests.budgets.strings import random_strings
from tests.replay.tool_cases import as_json, call, function_case, tools_case

SIZES = (
    *((300, 300), (448, 448), (449, 448), (640, 480), (448, 896), (896, 448), (900, 900), (1200, 800)),
    *((448, 1344), (1344, 449), (1344, 1344), (1345, 1000), (1900, 600), (600, 1900), (1000, 1345)),
    *((2600, 60), (60, 2600), (3000, 20), (20, 3000), (1500, 200), (1, 400), (400, 1)),
)
"""One slice to nine and the overview, and ratios far beyond the grids."""
WHOLE = {"image_max_pixels": 2_000_000}
VIDEO: tuple[Mapping[str, Any], ...] = (
    {"video_fps": 2.0, "video_maxlen": 6},
    {"video_fps": 0.7, "video_maxlen": 12, "video_max_pixels": 16_384},
    {"video_fps": 30.0, "video_maxlen": 3, "video_max_pixels": 700 * 700},
)
HIGH_FPS: tuple[Mapping[str, Any], ...] = (
    {"video_fps": 5.0, "video_maxlen": 12, "packing_maxlen": 3},
    {"video_fps": 10.0, "video_maxlen": 8, "packing_maxlen": 6, "time_scale": 0.5},
    {"video_fps": 2.0, "video_maxlen": 16, "double_frame_duration": 5},
    {"video_fps": 5.0, "video_maxlen": 4, "packing_maxlen": 1},
    {"video_fps": 15.0, "video_maxlen": 20, "packing_maxlen": 4, "double_frame_duration": 0, "time_scale": 0.07},
    {"video_fps": 1.0, "video_maxlen": 2, "packing_maxlen": 2, "video_max_pixels": 700 * 700},
)
MARKS = (
    *("<unk>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<|audio_start|>", "<|im_end|>"),
    *("<slice></slice>", "<slice>a</slice>", "<slice>a b c 1 2 3</slice>", "</slice><slice>", "<slice></image>"),
    *("<image_id>0</image_id>", "<slice></slice><slice></slice>", "<slice><slice></slice></slice>"),
    *("<slice></slice>" * 3, f"<slice>{'7' * 64}</slice>", "(<image>./</image>)", "{{image}}"),
)
SOUND_MARKS = (
    *(
        "<|audio_start|>",
        "<|audio_end|>",
        "<|spk_bos|>",
        "<|spk_eos|>",
        "<|audio|>",
        "(<audio>./</audio>)",
        "{{audio}}",
    ),
    *("<|audio_start|><|audio_end|>", "<|audio_start|>7<|audio_end|>", "<|audio_start|>7 7 7<|audio_end|>"),
    *("<|audio_start|><unk><unk><|audio_end|>", "<|audio_end|><|audio_start|>", "<|spk_bos|><|spk_eos|>"),
    *("<|spk_bos|>a<|spk_eos|>", f"<|audio_start|>{'7' * 30}<|audio_end|>", "<slice></slice>", "<slice>7</slice>"),
)
SPOKEN = tuple(text for text in TEXTS if not any(tag in text for tag in TAG.values()))
ROLES = ("system", "user", "assistant", "observation", "function_call", "tools")
LOOK = {"name": "look", "description": "Looks closely.", "parameters": {"type": "object", "properties": {}}}

CALL = {"name": "look", "arguments": {"where": "there"}}


@dataclass(frozen=True)
class Group:
    """Rows of one kind under the same settings: one data file."""

    kind: str
    rows: tuple[Row, ...]
    settings: Mapping[str, Any] = field(default_factory=lambda: CLEAR)


def asked(media: Mapping[str, Sequence[Any]], question: str = "What is it?", answer: str = "A thing.") -> Row:
    """A question behind its media, and the answer."""
    tags = "".join(TAG[kind] * len(listed) for kind, listed in media.items())
    messages = [{"role": "user", "content": tags + question}, {"role": "assistant", "content": answer}]
    return {"messages": messages} | {kind: list(listed) for kind, listed in media.items()}


def talk(rng: random.Random, media: Mapping[str, str]) -> Row:
    """A question and an answer for each file, which stands by the tag of its kind; one without where the kind is ""."""
    row: Row = {"messages": [{"role": "system", "content": "Be brief."}] * rng.randint(0, 1)}
    for name, kind in media.items():
        if kind:
            row.setdefault(kind, []).append(name)
        row["messages"] += [
            {"role": "user", "content": TAG.get(kind, "") + rng.choice(SPOKEN)},
            {"role": "assistant", "content": rng.choice(SPOKEN)},
        ]
    return row


def entry_of(rows: Sequence[Row]) -> Entry:
    """The entry of these rows, with the roles of tools: those that `tags` leaves out are None (data/parser.py)."""
    entry = entry_for(list(rows))
    return entry | {"tags": entry["tags"] | {"observation_tag": "observation", "function_tag": "function_call"}}


def texts(rng: random.Random, count: int) -> Group:
    """Conversations without media, whose turns end in hard strings, of special tokens, too."""
    rows = [talk(rng, dict.fromkeys(map(str, range(rng.randint(1, 3))), "")) for _ in range(count)]
    for number, row in enumerate(rows):
        for message in row["messages"]:
            message["content"] += random_strings(rng.randrange(10**6), 1, number % 3 == 0)[0]
    return Group("text", tuple(rows))


def talks(stock: Stock, rng: random.Random, count: int, kinds: tuple[str, ...]) -> Iterator[Group]:
    """Several turns, with media in any question; all turns supervised, or the last alone."""
    for settings in ({}, {"mask_history": True}):
        rows = []
        for _ in range(count // 2):
            drawn = [rng.choice((*kinds, "")) for _ in range(rng.randint(2, 4))]
            media = {
                stock.pick(rng, kind.removesuffix("s")) if kind else f"{at}": kind for at, kind in enumerate(drawn)
            }
            rows.append(talk(rng, media))
        yield Group("several turns", tuple(rows), CLEAR | settings)


def with_tools(stock: Stock, rng: random.Random, count: int) -> Group:
    """Tool lists, calls and their results, broken ones among them, with an image and without."""
    rows = []
    for number in range(count):
        row = asked({"images": [stock.pick(rng, "image")]} if number % 2 else {}, "Look.", "Seen.")
        called = as_json(rng, call(rng)) if number % 3 else function_case(rng)[0]
        row["messages"][1:1] = [
            {"role": "function_call", "content": sayable(called)},
            {"role": "observation", "content": rng.choice(SPOKEN)},
        ]
        row["tools"] = sayable(tools_case(rng)) if number % 4 else ""
        rows.append(row)
    return Group("tools", tuple(rows))


def called_in(row: Row, look: str, seen: str = "Seen.") -> Row:
    """A row with a call and its result before the answer."""
    question, answer = row["messages"]
    turns = [{"role": "function_call", "content": look}, {"role": "observation", "content": seen}]
    return row | {"messages": [question, *turns, answer]}


def sayable(text: str) -> str:
    """Without halves of surrogate pairs, which would decide of the file and not of the row."""
    return text.encode("utf-8", "replace").decode()


def marks_typed(rng: random.Random, marks: Sequence[str], media: Mapping[str, Sequence[Any]], count: int) -> Group:
    """Some of: each mark in each role's text and among the tools, beside a medium and without."""
    rows = []
    for mark, place, given in rng.sample([*itertools.product(marks, ROLES, (media, {}))], count):
        said = dict.fromkeys(ROLES, "") | {place: f" {mark} here"}
        row = asked(given, f"What is it?{said['user']}", f"A thing.{said['assistant']}")
        if place in ("function_call", "observation", "tools"):
            call_text = json.dumps(CALL | {"arguments": {"where": f"there{said['function_call']}"}})
            row = called_in(row, call_text, f"Seen.{said['observation']}")
        row["messages"].insert(0, {"role": "system", "content": f"Be brief.{said['system']}"})
        row["tools"] = json.dumps([LOOK | {"description": said["tools"]}]) if place == "tools" else ""
        rows.append(row)
    return Group("marks typed", tuple(rows))


def images(stock: Stock, rng: random.Random) -> Iterator[Group]:
    """One image a row of each size, whole and under the default limit."""
    (stock.folder / "sizes").mkdir(exist_ok=True)
    names = [f"sizes/{width}x{height}.png" for width, height in SIZES]
    for name, size in zip(names, SIZES, strict=True):
        picture(rng, size).resize(size).save(stock.folder / name)
    yield Group("image", tuple(asked({"images": [name]}) for name in names), CLEAR | WHOLE)
    yield Group("image", tuple(asked({"images": [stock.pick(rng, "image")]}) for _ in range(12)))
    several = [asked({"images": rng.sample(names, rng.randint(2, 4))}) for _ in range(8)]
    several += [asked({"images": [stock.pick(rng, "image") for _ in range(rng.randint(2, 6))]}) for _ in range(12)]
    for row in several[::2]:  # the placeholders before, within and behind the question
        row["messages"][0]["content"] = "<image>Which?" + "<image> or" * (len(row["images"]) - 1)
    rng.shuffle(several)
    yield Group("multi-image", tuple(several))


def videos(stock: Stock, rng: random.Random) -> Iterator[Group]:
    """Files with a frame count and without, and lists of frames."""
    for settings in VIDEO:
        names = rng.sample(stock.groups["video"], 7) + rng.sample(stock.groups["video-no-count"], 2)
        yield Group("video", tuple(asked({"videos": [name]}) for name in names), CLEAR | settings)
    lists = [[stock.pick(rng, "image") for _ in range(rng.randint(1, 5))] for _ in range(6)]
    yield Group("video", tuple(asked({"videos": [frames]}) for frames in lists))


def high_fps(stock: Stock, rng: random.Random) -> Iterator[Group]:
    """Packed frames of clips of many lengths and rates; one without a frame count, and rows without a video beside."""
    folder = stock.folder / "high_fps"
    folder.mkdir(exist_ok=True)
    names = [f"high_fps/{path.name}" for path in make_clips(folder)]
    for settings in HIGH_FPS:
        rows = [asked({"videos": [name]}) for name in names]
        rows += [asked({"videos": [stock.pick(rng, "video-no-count")]}), asked({"images": [stock.pick(rng, "image")]})]
        yield Group("high fps", tuple(rows), CLEAR | {"enable_high_fps": True} | settings)


def cuts(arena: Arena, family: str, group: Group, rng: random.Random) -> Iterator[Group]:
    """Each row, longer by 0 to 6 tokens in front, under a limit in the middle of the places where its end then lies;
    and the same about the end of a turn or of a medium's block in its second half."""
    for row in group.rows:
        edges = edges_of(arena, family, row, group.settings)
        for edge in (edges[-1], rng.choice(edges[len(edges) // 2 : -1] or edges)):
            rows = tuple(padded(row, words) for words in range(2 * EDGE + 1))
            kind = "high fps, cut" if "enable_high_fps" in group.settings else "cut"
            yield Group(kind, rows, {**group.settings, "cutoff_len": max(edge + EDGE, 8)})


def edges_of(arena: Arena, family: str, row: Row, settings: Mapping[str, Any]) -> list[int]:
    """Where turns and blocks of media end in a row that is not cut, in tokens."""
    folder = arena.work / "edges"
    folder.mkdir(exist_ok=True)
    arena.write(Case(Plan(family, "", ()), (row,), ((),), entry_of([row])), folder)
    whole = {**settings, "cutoff_len": 1_000_000, "media_dir": str(arena.stock.folder)}
    with plugin_of(settings):
        oracle = Oracle(arena.family(family), folder, whole)
        examples, error = oracle.load("data")
        assert examples, error
        return oracle.edges(examples[0])


def vision_groups(arena: Arena, family: str, seed: int) -> Iterator[Group]:
    """All that MiniCPM-V 4.5 is trained with."""
    rng, stock = random.Random(seed), arena.stock
    yield texts(rng, 24)
    yield from images(stock, rng)
    yield from talks(stock, rng, 20, ("images",))
    clips = list(videos(stock, rng))
    yield from clips
    yield with_tools(stock, rng, 24)
    yield marks_typed(rng, MARKS, {"images": [stock.groups["image"][0]]}, 132)
    one, two = ({"images": [stock.pick(rng, "image") for _ in range(count)]} for count in (1, 3))
    called = called_in(asked(one), look=json.dumps(CALL)) | {"tools": json.dumps([LOOK])}
    still = Group("cut", (asked({}, "What? " * 9), asked(one), asked(two), called))
    yield from cuts(arena, family, still, rng)
    yield from cuts(arena, family, Group("cut", clips[0].rows[:1], clips[0].settings), rng)
    packed = list(high_fps(stock, rng))
    yield from packed
    yield from cuts(arena, family, Group("cut", packed[0].rows[-3:-2], packed[0].settings), rng)


def sound_groups(arena: Arena, family: str, seed: int) -> Iterator[Group]:
    """What MiniCPM-o is trained with beyond that."""
    rng, stock = random.Random(seed), arena.stock
    one = [asked({"audios": [name]}) for name in stock.groups["audio"]]
    yield Group("audio", tuple(one))
    yield Group("audio", tuple(asked({"audios": [name]}) for name in stock.groups["audio-tiny"]))
    several = [asked({"audios": [stock.pick(rng, "audio") for _ in range(rng.randint(2, 3))]}) for _ in range(10)]
    yield Group("several audios", tuple(several))
    beside = [asked({"images": [stock.pick(rng, "image")], "audios": [stock.pick(rng, "audio")]}) for _ in range(8)]
    for row in beside[::2]:
        row["messages"][0]["content"] = "<audio>What is said of it? <image>"
    yield Group("audio and image", tuple(beside))
    yield Group(
        "audio and video",
        tuple(asked({"videos": [stock.pick(rng, "video")], "audios": [stock.pick(rng, "audio")]}) for _ in range(6)),
        CLEAR | VIDEO[0],
    )
    yield from talks(stock, rng, 8, ("images", "audios"))
    yield marks_typed(rng, SOUND_MARKS, {"audios": [stock.groups["audio"][0]]}, 100)
    yield from cuts(arena, family, Group("cut", (one[0], several[0], beside[0])), rng)


def run_groups(arena: Arena, family: str, groups: Iterable[Group], every: int = 1) -> Iterator[list[Verdict]]:
    """Predict and run each group, or one row in so many of it; those of high fps with the plugin in its place."""
    for group in groups:
        rows = group.rows[::every]
        plan = Plan(family, group.kind, (), tuple(group.settings.items()))
        with plugin_of(group.settings):
            yield arena.try_case(Case(plan, rows, ((),) * len(rows), entry_of(rows)))


def plugin_of(settings: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """The high-fps plugin, where the settings have its keys: `curate train` adds it there."""
    return registered() if "enable_high_fps" in settings else nullcontext()


def table(verdicts: Sequence[Verdict]) -> str:
    """Rows, those that end otherwise than predicted, and those that have other counts of tokens, of each kind."""
    groups: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        for kind in (verdict.purpose, "all"):
            count = groups.setdefault(kind, Counter())
            count["rows"] += 1
            count["ends"] += not verdict.agrees and not verdict.miscounted
            count["counts"] += verdict.miscounted
            count["trained"] += verdict.truth.tokens is not None
    groups["all"] = groups.pop("all", Counter())
    lines = [f"{'kind':<16} {'rows':>6} {'with tokens':>12} {'disagreements':>14} {'token errors':>13}"]
    for kind, count in groups.items():
        lines.append(f"{kind:<16} {count['rows']:>6} {count['trained']:>12} {count['ends']:>14} {count['counts']:>13}")
    return "\n".join(lines)
