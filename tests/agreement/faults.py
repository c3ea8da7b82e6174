"""Rows as users have them: the demo's real conversations over random media, and the faults that users make in them.

Each fault names where it was met: an issue (LF: hiyouga/LLaMA-Factory, CPM: OpenBMB/MiniCPM-V, swift: modelscope/
ms-swift, ds: huggingface/datasets, tune: QwenLM/Qwen3) or the module of llamafactory 0.9.5 that trips over it.
"""

from __future__ import annotations

import csv
import json
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agreement.media_factory import Stock

Row = dict[str, Any]
DEMO = Path(__file__).resolve().parents[2] / "examples/demo"
TAG = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}
KINDS = tuple(TAG)
ROLE_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
ROLE_TAGS |= {"system_tag": "system"}


class NotHere(Exception):
    """The row has nothing that the fault could break."""


@dataclass(frozen=True)
class Scene:
    """What a row is made under: the stock of media and the kinds that the template knows."""

    stock: Stock
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """A way to spoil a row. `shapes`: it can change a column's type, and with it the whole file's fate."""

    name: str
    source: str
    spoil: Callable[[Row, random.Random, Scene], None]
    shapes: bool = False


FAULTS: dict[str, Fault] = {}


def fault(name: str, source: str, shapes: bool = False) -> Callable[[Any], Any]:
    """Register a fault."""

    def register(spoil: Callable[[Row, random.Random, Scene], None]) -> Any:
        assert name not in FAULTS
        FAULTS[name] = Fault(name, source, spoil, shapes)
        return spoil

    return register


# --- sound rows


def demo_rows() -> list[Row]:
    """The demo's conversations in one form: messages and lists of media, as its recipe would build them."""
    rows: list[Row] = []
    for name in ("talks.jsonl", "speech.jsonl", "drawing.jsonl"):
        for line in (DEMO / name).read_text(encoding="utf-8").splitlines():
            raw = json.loads(line)
            rows.append(with_media(raw["messages"], raw["file_name"]))
    for raw in json.loads((DEMO / "llava.json").read_text(encoding="utf-8")):
        roles = {"human": "user", "gpt": "assistant"}
        turns = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in raw["conversations"]]
        rows.append(with_media(turns, raw["image"]))
    for name, question in (("captions.csv", "Describe this picture."), ("sounds.csv", "What do you hear?")):
        with (DEMO / name).open(encoding="utf-8", newline="") as file:
            for raw in csv.DictReader(file):
                if raw["caption"]:
                    rows.append(captioned(question, raw["caption"], raw["file_name"]))
    for text in sorted((DEMO / "media/clips").glob("*.txt")):
        rows.append(captioned("Describe this clip.", text.read_text(encoding="utf-8").strip(), "clips/x.mp4"))
    return rows


def captioned(question: str, answer: str, path: str) -> Row:
    """A question with one medium, and its answer."""
    kind = kind_of(path)
    turns = [{"role": "user", "content": TAG[kind] + question}, {"role": "assistant", "content": answer}]
    return with_media(turns, path)


def with_media(turns: list[Row], paths: str | list[str]) -> Row:
    """A row whose lists have an entry for each tag (those rows of the demo that lack tags get no media)."""
    row: Row = {"messages": [dict(turn) for turn in turns]}
    text = "".join(turn["content"] for turn in turns)
    for path in [paths] if isinstance(paths, str) else paths:
        if TAG[kind_of(path)] in text:
            row.setdefault(kind_of(path), []).append(path)
    return row


def kind_of(path: str) -> str:
    """The column of a demo path, by its folder."""
    return {"images": "images", "clips": "videos", "sounds": "audios"}[path.split("/", 1)[0]]


BASES = demo_rows()
TEXTS = [turn["content"] for row in BASES for turn in row["messages"]]


def bases_for(kinds: tuple[str, ...]) -> list[int]:
    """The demo rows whose media a template knows."""
    return [number for number, row in enumerate(BASES) if set(row) <= {"messages", *kinds}]


def sound_row(base: int, rng: random.Random, scene: Scene) -> Row:
    """A demo row with other media of the same kinds, at times longer by another's turns, another's system prompt."""
    row: Row = json.loads(json.dumps(BASES[base]))
    if rng.random() < 0.3:
        more = json.loads(json.dumps(BASES[rng.choice(bases_for(("images",)))]))
        # MiniCPM refuses pictures beside a video, and every row here must be sound
        if "videos" not in row or "images" not in more:
            row["messages"] += [turn for turn in more["messages"] if turn["role"] != "system"]
            if "images" in more:
                row.setdefault("images", []).extend(more["images"])
    if rng.random() < 0.15 and row["messages"][0]["role"] != "system":
        row["messages"].insert(0, {"role": "system", "content": "You watch closely and answer briefly."})
    for kind in KINDS:
        if kind in row:
            row[kind] = [scene.stock.pick(rng, kind[:-1]) for _ in row[kind]]
    return row


# --- helpers


def turns(row: Row, *roles: str) -> list[Row]:
    """The turns with text whose role is one of these."""
    messages = row.get("messages")
    found = [
        turn
        for turn in (messages if isinstance(messages, list) else [])
        if isinstance(turn, dict) and turn.get("role") in roles and isinstance(turn.get("content"), str)
    ]
    if not found:
        raise NotHere
    return found


def dialogue(row: Row) -> list[Row]:
    """All turns, where they are a list of objects."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(turn, dict) for turn in messages):
        raise NotHere
    return messages


def entries(row: Row, kinds: tuple[str, ...] = KINDS) -> tuple[str, list[Any]]:
    """The first list of media that holds something."""
    for kind in kinds:
        if isinstance(row.get(kind), list) and row[kind]:
            return kind, row[kind]
    raise NotHere


def put(row: Row, rng: random.Random, kind: str, path: Any) -> None:
    """A medium with its tag at the end of a question; for a video, in place of the row's pictures and clips."""
    if kind == "videos":
        without(row, "images", "videos")
    if kind == "images" and row.get("videos"):
        without(row, "videos")
    turn = rng.choice(turns(row, "user"))
    listed = row.get(kind)
    if listed is not None and not isinstance(listed, list):
        raise NotHere
    row[kind] = [*(listed or []), path]
    # its place among the tags must be its place in the list
    spoken = turns(row, "user")
    if any(TAG[kind] in later["content"] for later in spoken[spoken.index(turn) + 1 :]):
        turn = spoken[-1]
    turn["content"] += TAG[kind]


def without(row: Row, *kinds: str) -> None:
    """Take media of these kinds out, tags and all."""
    for kind in kinds:
        row.pop(kind, None)
        for turn in dialogue(row):
            if isinstance(turn.get("content"), str):
                turn["content"] = turn["content"].replace(TAG[kind], "")


def known(kind: str, scene: Scene) -> None:
    """Only where the template knows the kind."""
    if kind not in scene.kinds:
        raise NotHere


def insert(row: Row, rng: random.Random, text: str, roles: tuple[str, ...] = ("user", "assistant")) -> None:
    """Text at a random place of a turn, not inside a tag."""
    turn = rng.choice(turns(row, *roles))
    words = turn["content"].split(" ")
    at = rng.randint(0, len(words))
    turn["content"] = " ".join([*words[:at], text, *words[at:]])


# --- tags


def _surplus(kind: str, source: str) -> None:
    @fault(f"surplus-{kind[:-1]}-tag", source)
    def _(row: Row, rng: random.Random, scene: Scene) -> None:
        insert(row, rng, TAG[kind], ("user",))


_surplus("images", "LF#5658")
_surplus("videos", "LF#6839")
_surplus("audios", "LF#7072")


@fault("missing-tag", "LF#6135")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    tagged = [turn for turn in turns(row, "user") if TAG[kind] in turn["content"]]
    if not tagged:
        raise NotHere
    turn = rng.choice(tagged)
    turn["content"] = turn["content"].replace(TAG[kind], "", 1)


@fault("tag-moved-to-answer", "LF#7072")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    for turn in turns(row, "user"):
        if TAG[kind] in turn["content"]:
            turn["content"] = turn["content"].replace(TAG[kind], "", 1)
            turns(row, "assistant")[0]["content"] += TAG[kind]
            return
    raise NotHere


@fault("tag-in-answer", "LF#8440")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    insert(row, rng, rng.choice(list(TAG.values())), ("assistant",))


@fault("markdown-tag", "LF#8440")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    insert(row, rng, "![figure 3](<image>)", ("assistant",))


@fault("tag-in-system", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    text = f"{rng.choice(list(TAG.values()))} Be brief."
    spoken = [turn for turn in dialogue(row) if turn.get("role") != "system"]
    row["messages"] = [{"role": "system", "content": text}, *spoken]


@fault("tag-moved-to-system", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    spoken = [turn for turn in dialogue(row) if turn.get("role") != "system"]
    for turn in spoken:
        if isinstance(turn.get("content"), str) and TAG[kind] in turn["content"]:
            turn["content"] = turn["content"].replace(TAG[kind], "", 1)
            row["messages"] = [{"role": "system", "content": TAG[kind] + "Look."}, *spoken]
            return
    raise NotHere


@fault("tag-moved-to-later-turn", "LF#7072")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    first, last = turns(row, "user")[0], turns(row, "user")[-1]
    if TAG[kind] not in first["content"]:
        raise NotHere
    first["content"] = first["content"].replace(TAG[kind], "", 1)
    last["content"] = TAG[kind] + last["content"]


def _respelt(name: str, spell: Callable[[str], str]) -> None:
    @fault(name, "LF#5658")
    def _(row: Row, rng: random.Random, scene: Scene) -> None:
        kind, _ = entries(row)
        for turn in turns(row, "user"):
            if TAG[kind] in turn["content"]:
                turn["content"] = turn["content"].replace(TAG[kind], spell(TAG[kind]))
                return
        raise NotHere


_respelt("tag-capitalised", str.title)
_respelt("tag-with-spaces", lambda tag: f"< {tag[1:-1]} >")
_respelt("tag-escaped", lambda tag: f"&lt;{tag[1:-1]}&gt;")
_respelt("tag-plural", lambda tag: f"<{tag[1:-1]}s>")
_respelt("tag-fullwidth", lambda tag: f"＜{tag[1:-1]}＞")


@fault("tag-reused-over-turns", "swift#5247")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    spoken = turns(row, "user")
    if len(spoken) < 2:
        row["messages"] += [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Still so."}]
        spoken = turns(row, "user")
    spoken[-1]["content"] = TAG[kind] + spoken[-1]["content"]


# --- lists


@fault("list-as-string", "LF#5883", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, listed = entries(row)
    row[kind] = listed[0]


@fault("null-in-list", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    _kind, listed = entries(row)
    listed[rng.randrange(len(listed))] = None


@fault("empty-string-in-list", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    _kind, listed = entries(row)
    listed[rng.randrange(len(listed))] = ""


@fault("number-in-list", "data/converter.py", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    _kind, listed = entries(row)
    listed[0] = 7


@fault("object-in-list", "data/mm_plugin.py", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, listed = entries(row)
    row[kind] = [{"path": entry, "bytes": None} for entry in listed]


@fault("list-emptied", "LF#5658")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    row[kind] = []


@fault("list-null", "LF#7266")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    row[kind] = None


@fault("list-missing", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind, _ = entries(row)
    del row[kind]


@fault("empty-lists-beside", "LF#6973")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    for kind in KINDS:
        row.setdefault(kind, [])


@fault("surplus-entry", "LF#7909")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    kind = rng.choice(scene.kinds)
    listed = row.get(kind)
    row[kind] = [*(listed if isinstance(listed, list) else []), scene.stock.pick(rng, kind[:-1])]


@fault("list-reordered", "data/mm_plugin.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    _kind, listed = entries(row)
    listed.reverse()


@fault("nested-frames", "data/mm_plugin.py", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    known("videos", scene)
    put(row, rng, "videos", [scene.stock.pick(rng, "image") for _ in range(rng.randint(1, 5))])


# --- paths


def _path(name: str, source: str, change: Callable[[str, Scene], Any]) -> None:
    @fault(name, source)
    def _(row: Row, rng: random.Random, scene: Scene) -> None:
        _kind, listed = entries(row)
        at = rng.randrange(len(listed))
        if not isinstance(listed[at], str):
            raise NotHere
        listed[at] = change(listed[at], scene)


_path("missing-file", "LF#10158", lambda path, _: f"nowhere/{path}")
_path("absolute-path", "LF#3700", lambda path, scene: str((scene.stock.folder / path).resolve()))
_path("parent-path", "LF#7280", lambda path, scene: f"../{scene.stock.folder.name}/{path}")
_path("dot-path", "LF#7046", lambda path, _: f"./{path}")
_path("wrong-case", "LF#6191", lambda path, _: path.upper())
_path("trailing-space", "LF#6191", lambda path, _: f"{path} ")
_path("directory", "data/converter.py", lambda _, scene: "subfolder")
# not http: FFmpeg fetches it for videos and sounds, and what becomes of the row is the network's affair (MED303)
_path("url", "LF#7814", lambda path, _: f"s3://bucket/{path}")
_path("backslashes", "LF#6193", lambda path, _: f"images\\{path}")
_path("file-scheme", "LF#7814", lambda path, scene: f"file://{scene.stock.folder / path}")


# --- media


def _media(kind: str, group: str, source: str, name: str | None = None) -> None:
    @fault(name or group, source)
    def _(row: Row, rng: random.Random, scene: Scene) -> None:
        known(kind, scene)
        put(row, rng, kind, scene.stock.pick(rng, group))


for _group, _source in {
    "image-truncated": "LF#8733",
    "image-empty": "LF#8733",
    "image-html": "LF#8733",
    "image-bomb": "data/mm_plugin.py",
    "image-sliver": "data/mm_plugin.py",
    "image-narrow": "data/mm_plugin.py",
    "image-exif": "data/mm_plugin.py",
    "image-alpha": "data/mm_plugin.py",
    "image-opaque-alpha": "data/mm_plugin.py",
    "image-16bit": "data/mm_plugin.py",
    "image-animated": "data/mm_plugin.py",
    "image-wrong-suffix": "data/mm_plugin.py",
}.items():
    _media("images", _group, _source)
for _group, _source in {
    "video-cut": "LF#5712",
    "video-no-index": "CPM#507",
    "video-no-count": "data/mm_plugin.py",
    "video-sound-only": "LF#5679",
    "video-empty": "LF#7687",
    "video-html": "LF#5527",
    "video-picture": "data/mm_plugin.py",
}.items():
    _media("videos", _group, _source)
for _group in ("cut", "empty", "silent", "tiny", "html", "video-with-sound", "video-mute"):
    _media("audios", f"audio-{_group}", "LF#8378")
_media("images", "audio", "LF#8733", "audio-as-image")
_media("images", "video", "LF#8733", "video-as-image")
_media("images", "text-file", "LF#8733", "text-as-image")
_media("videos", "audio", "LF#5679", "audio-as-video")
_media("audios", "image", "LF#8378", "image-as-audio")


# --- roles


@fault("human-and-gpt", "LF#2529")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    for turn in dialogue(row):
        turn["role"] = {"user": "human", "assistant": "gpt"}.get(turn.get("role"), turn.get("role"))


@fault("unknown-role", "LF#2481")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row))["role"] = rng.choice(["bot", "model", "", "narrator"])


@fault("capital-role", "LF#2481")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(turns(row, "user", "assistant"))["role"] = rng.choice(["User", "ASSISTANT", "Assistant "])


@fault("null-role", "LF#2536")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row))["role"] = None


@fault("role-missing", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row)).pop("role", None)


@fault("two-questions", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    spoken = turns(row, "user")
    dialogue(row).insert(dialogue(row).index(spoken[-1]), {"role": "user", "content": "Listen:"})


@fault("two-questions-at-the-end", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [*dialogue(row), {"role": "user", "content": "And?"}, {"role": "user", "content": "So?"}]


@fault("two-answers", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [*dialogue(row), {"role": "assistant", "content": "Also this."}]


@fault("late-system", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    dialogue(row).insert(2, {"role": "system", "content": "Now be brief."})


@fault("late-system-pair", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [*dialogue(row), {"role": "system", "content": "x"}, {"role": "assistant", "content": "y"}]


@fault("starts-with-answer", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [{"role": "assistant", "content": "How can I help?"}, *dialogue(row)]


@fault("starts-with-answer-even", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    spoken = [turn for turn in dialogue(row) if turn.get("role") != "system"]
    row["messages"] = [{"role": "assistant", "content": "How can I help?"}, *spoken[:-1]]


@fault("ends-with-question", "LF#9600")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    dialogue(row).pop()


@fault("only-system", "LF#5737")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [{"role": "system", "content": "You are helpful."}]


@fault("only-question", "LF#5737")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [dialogue(row)[0]]


@fault("no-messages", "LF#5737")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = []


@fault("observation-role", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    turns(row, "user")[-1]["role"] = "observation"


@fault("function-role", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    turns(row, "assistant")[-1]["role"] = rng.choice(["function", "function_call"])


# --- content


@fault("null-content", "LF#4249")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row))["content"] = None


@fault("content-missing", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row)).pop("content", None)


@fault("empty-answer", "data/processor/supervised.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(turns(row, "assistant"))["content"] = ""


@fault("empty-question", "data/processor/supervised.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [*dialogue(row), {"role": "user", "content": ""}, {"role": "assistant", "content": "Yes?"}]


@fault("whitespace-content", "data/processor/supervised.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(turns(row, "assistant"))["content"] = rng.choice([" ", "\n", "\n\n\n", "\t \n", "\u3000"])


@fault("empty-system", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [
        {"role": "system", "content": rng.choice(["", None])},
        *[turn for turn in dialogue(row) if turn.get("role") != "system"],
    ]


@fault("long-question", "LF#6131")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    turn = rng.choice(turns(row, "user"))
    turn["content"] += " and then the man says a word" * 700


@fault("long-answer", "swift#2745")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    turn = rng.choice(turns(row, "assistant"))
    turn["content"] += " and then the man says a word" * 700


@fault("number-content", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(turns(row, "assistant"))["content"] = 42


@fault("content-parts", "LF#6298", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    for turn in turns(row, "user"):
        turn["content"] = [{"type": "text", "text": turn["content"]}]


def _literal(name: str, source: str, *texts: str) -> None:
    @fault(name, source)
    def _(row: Row, rng: random.Random, scene: Scene) -> None:
        insert(row, rng, rng.choice(texts))


_literal("literal-chat-token", "data/template.py", "<|im_end|>", "<|im_start|>user", "<|endoftext|>")
_literal("literal-pad-token", "LF#9166", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
_literal("literal-image-end", "CPM#602", "</image>", "<slice>", "</slice>")
_literal("literal-slice", "CPM#602", "<slice></slice>", "<slice>x</slice>", "</slice><slice>")
_literal("literal-image-id", "data/mm_plugin.py", "<image_id>0</image_id>", "<unk>", "<unk><unk>")
_literal("literal-audio-token", "data/mm_plugin.py", "<|audio_start|>", "<|audio_start|><|audio_end|>", "<|audio_end|>")
_literal("literal-speaker-token", "data/mm_plugin.py", "<|spk_bos|>", "<|spk_bos|><|spk_eos|>")
_literal("literal-slot", "data/formatter.py", "{{content}}", "{{idx}}", "{{name}}")
_literal("literal-image-slot", "data/mm_plugin.py", "{{image}}", "{{ image }}")
_literal("literal-audio-slot", "data/mm_plugin.py", "{{audio}}")
_literal("literal-intermediate", "data/mm_plugin.py", "(<image>./</image>)", "(<audio>./</audio>)")
_literal("think-tags", "data/template.py", "<think>\nhm\n</think>\n\n", "<think>", "</think>", "/no_think")
_literal("decomposed-unicode", "LF#6856", unicodedata.normalize("NFD", "Größe über Ångström naïve ế한국어"))
_literal("control-characters", "swift#2634", "a\u0000b", "\u001b[0m", "\u200b\u202e", "\x7f\x08", "\ufeff", "\r\n")
_literal("cjk", "CPM#93", "図に何が写っていますか？】", "请描述这张图片。", "그림")
_literal("emoji", "CPM#93", "👩‍👩‍👧‍👦🏳️‍🌈", "🙂" * 30)
_literal("many-spaces", "swift#2745", " " * 10_000)
_literal("one-long-word", "swift#2745", "a" * 3000, "7" * 900)


@fault("lone-surrogate", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    insert(row, rng, "half \ud83d of a pair")


# --- rows


@fault("image-and-video", "data/mm_plugin.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    put(row, rng, "videos", scene.stock.pick(rng, "video"))
    row["images"] = [scene.stock.pick(rng, "image")]
    turns(row, "user")[0]["content"] += "<image>"


@fault("several-videos", "data/mm_plugin.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    put(row, rng, "videos", scene.stock.pick(rng, "video"))
    for _ in range(rng.randint(1, 2)):
        row["videos"].append(scene.stock.pick(rng, "video"))
        turns(row, "user")[-1]["content"] += "<video>"


@fault("many-images", "LF#6131")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    for _ in range(rng.randint(9, 13)):
        put(row, rng, "images", scene.stock.pick(rng, "image"))


@fault("audio-row", "LF#8604")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    put(row, rng, "audios", scene.stock.pick(rng, "audio"))


@fault("unused-unknown-kind", "data/mm_plugin.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["audios"] = [scene.stock.pick(rng, "audio")]


@fault("null-messages", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = None


@fault("messages-missing", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row.pop("messages", None)


@fault("messages-as-text", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = json.dumps(row["messages"])


@fault("message-as-text", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["messages"] = [turn.get("content") for turn in dialogue(row)]


@fault("null-message", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    dialogue(row)[rng.randrange(len(row["messages"]))] = None  # type: ignore[call-overload]


@fault("other-messages-key", "LF#5503")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["conversations"] = row.pop("messages", None)


@fault("extra-keys", "LF#5810")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row |= {"id": rng.randrange(100), "source": "web", "meta": {"score": rng.random()}}


@fault("mixed-id-types", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["id"] = rng.choice([17, "coco_17"])


@fault("extra-message-keys", "LF#5810")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    rng.choice(dialogue(row)).update({"loss": 1, "weight": None})


@fault("system-column", "data/converter.py")
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row["system"] = rng.choice(["You are a poet.", "", None, "Look at <image>."])


@fault("row-as-text", "ds#7322", shapes=True)
def _(row: Row, rng: random.Random, scene: Scene) -> None:
    row.clear()


def spoil(row: Row, names: tuple[str, ...], rng: random.Random, scene: Scene) -> tuple[str, ...]:
    """Apply faults in order; gives the names of those that found something to break."""
    done = []
    for name in names:
        try:
            FAULTS[name].spoil(row, rng, scene)
        except NotHere:
            continue
        done.append(name)
    return tuple(done)


# --- faults of dataset_info.json

Entry = dict[str, Any]


def entry_for(rows: list[Row]) -> Entry:
    """The entry that a careful owner of these rows would write: a column for each key that occurs."""
    keys = {key for row in rows for key in row}
    columns = {key: key for key in ("messages", *KINDS, "system", "tools") if key in keys or key == "messages"}
    return {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": dict(ROLE_TAGS)}


def _singular(entry: Entry) -> None:
    entry["columns"] = {key.removesuffix("s") if key in KINDS else key: key for key in entry["columns"]}


def _human(entry: Entry) -> None:
    entry["tags"] |= {"user_tag": "human", "assistant_tag": "gpt"}


def _roles_only(entry: Entry) -> None:
    entry["tags"] = {"role_tag": "role", "content_tag": "content"}


def _surplus_column(entry: Entry) -> None:
    entry["columns"]["tools"] = "tools"


ENTRY_FAULTS: dict[str, tuple[str, Callable[[Entry], Any]]] = {
    "column-singular": ("LF#6839", _singular),
    "tags-human": ("LF#2529", _human),
    "tags-absent": ("LF#5503", lambda entry: entry.pop("tags")),
    "tags-roles-only": ("data/parser.py", _roles_only),
    "tags-without-system": ("data/parser.py", lambda entry: entry["tags"].pop("system_tag")),
    "columns-absent": ("LF#5503", lambda entry: entry.pop("columns")),
    "media-unmapped": ("LF#5658", lambda entry: [entry["columns"].pop(kind, None) for kind in KINDS]),
    "messages-unmapped": ("LF#5503", lambda entry: entry["columns"].pop("messages")),
    "column-not-in-data": ("data/converter.py", _surplus_column),
    "formatting-missing": ("LF#5503", lambda entry: entry.pop("formatting")),
    "unknown-entry-keys": ("LF#5810", lambda entry: entry.update({"comment": "v2"})),
}
