"""Rows for the comparison: sound ones over real media, and the faults that users make."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
WORDS = [
    "a",
    "cat,",
    "the",
    "dog;",
    "what",
    "is",
    "it?",
    "It",
    "is",
    "12",
    "or",
    "345",
    "o'clock.",
    "Größe",
    "很好",
    "\n\n",
    "",
    "user",
    "assistant",
    "<think>",
    "{{idx}}",
    "é",
]
MEDIA = {
    "images": ["cat.jpg", "dog.jpg", "wide.png", "tall.png", "square.png", "1.jpg", "2.jpg"],
    "videos": ["clip.mp4", "long.mp4", "2.avi", "3.mp4", "big.mp4"],
    "audios": ["tone.wav", "1.mp3", "2.wav", "3.flac", "4.mp3", "stereo.wav"],
}
TAG = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}


def text(rng: random.Random, most: int = 40) -> str:
    """Some words."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, most)))


def sound_row(rng: random.Random, kinds: list[str]) -> Row:
    """A row that trains: one to three pairs, media of one kind or none, tags anywhere in the questions."""
    pairs = rng.randint(1, 3)
    messages = []
    if rng.random() < 0.3:
        messages.append({"role": "system", "content": text(rng, 10)})
    row: Row = {"messages": messages}
    kind = rng.choice([*kinds, None])
    for _ in range(pairs):
        question = text(rng)
        if kind is not None and rng.random() < 0.7 and not (kind == "videos" and row.get("videos")):
            at = rng.randint(0, len(question))
            question = question[:at] + TAG[kind] + question[at:]
            row.setdefault(kind, []).append(rng.choice(MEDIA[kind]))
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": text(rng)}]
    return row


def user_turn(row: Row, rng: random.Random) -> Any:
    """One of the user's turns."""
    return rng.choice([message for message in row["messages"] if message["role"] == "user"])


def surplus_tag(row: Row, rng: random.Random) -> None:
    """A tag too many, in a question."""
    user_turn(row, rng)["content"] += rng.choice(list(TAG.values()))


def tag_in_answer(row: Row, rng: random.Random) -> None:
    """A literal tag in an answer."""
    row["messages"][-1]["content"] += "![x](<image>)"


def tag_in_system(row: Row, rng: random.Random) -> None:
    """A tag in the system prompt, where it does not count."""
    row["messages"] = [{"role": "system", "content": "<image> Be brief."}, *spoken(row)]


def spoken(row: Row) -> list[Any]:
    """The turns without the system's."""
    return [message for message in row["messages"] if message["role"] != "system"]


def surplus_entry(row: Row, rng: random.Random) -> None:
    """An entry without a tag."""
    row.setdefault("images", []).append("cat.jpg")


def missing_file(row: Row, rng: random.Random) -> None:
    """A path that leads nowhere."""
    row.setdefault("images", []).append("nowhere.jpg")
    user_turn(row, rng)["content"] += "<image>"


def cut_image(row: Row, rng: random.Random) -> None:
    """A truncated picture."""
    row.setdefault("images", []).append("cut.jpg")
    user_turn(row, rng)["content"] += "<image>"


def empty_image(row: Row, rng: random.Random) -> None:
    """A file of no bytes."""
    row.setdefault("images", []).append("empty.jpg")
    user_turn(row, rng)["content"] += "<image>"


def not_an_image(row: Row, rng: random.Random) -> None:
    """A sound listed as a picture."""
    row.setdefault("images", []).append("tone.wav")
    user_turn(row, rng)["content"] += "<image>"


def sound_only_video(row: Row, rng: random.Random) -> None:
    """An mp4 without pictures."""
    row["messages"] = [{"role": "user", "content": "<video>?"}, {"role": "assistant", "content": "x"}]
    row.pop("images", None)
    row.pop("audios", None)
    row["videos"] = ["sound.mp4"]


def both_kinds(row: Row, rng: random.Random) -> None:
    """A picture and a clip in one row."""
    row.setdefault("images", []).append("cat.jpg")
    row.setdefault("videos", []).append("clip.mp4")
    user_turn(row, rng)["content"] += "<image><video>"


def unknown_role(row: Row, rng: random.Random) -> None:
    """A role that no tag names."""
    rng.choice(row["messages"])["role"] = rng.choice(["human", "bot", "gpt", "User"])


def late_system(row: Row, rng: random.Random) -> None:
    """A system turn in the middle."""
    row["messages"].insert(2, {"role": "system", "content": "x"})


def no_answer(row: Row, rng: random.Random) -> None:
    """The last answer is missing."""
    row["messages"].pop()


def two_questions(row: Row, rng: random.Random) -> None:
    """Two user turns in a row."""
    row["messages"].append({"role": "user", "content": "And?"})
    row["messages"].append({"role": "user", "content": "So?"})


def no_turns(row: Row, rng: random.Random) -> None:
    """Nothing said."""
    row["messages"] = []


def only_system(row: Row, rng: random.Random) -> None:
    """A system prompt and nothing else."""
    row["messages"] = [{"role": "system", "content": "x"}]


def empty_texts(row: Row, rng: random.Random) -> None:
    """Turns without text."""
    for message in row["messages"][-2:]:
        message["content"] = message["content"] if "<" in message["content"] else ""


def long_text(row: Row, rng: random.Random) -> None:
    """Far beyond any limit."""
    row["messages"][-1]["content"] += " word" * 400


def null_content(row: Row, rng: random.Random) -> None:
    """A turn whose content is null."""
    row["messages"][-1]["content"] = None


def single_string(row: Row, rng: random.Random) -> None:
    """A path instead of a list of paths: the trainer wraps it."""
    row["messages"] = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "x"}]
    row.pop("videos", None)
    row.pop("audios", None)
    row["images"] = "cat.jpg"


def empty_lists(row: Row, rng: random.Random) -> None:
    """Empty media lists beside the others."""
    row.setdefault("images", [])
    row.setdefault("videos", [])


def sliver(row: Row, rng: random.Random) -> None:
    """A picture of one pixel's width."""
    row.setdefault("images", []).append("sliver.png")
    user_turn(row, rng)["content"] += "<image>"


FAULTS: tuple[Callable[[Row, random.Random], None], ...] = (
    surplus_tag, tag_in_answer, tag_in_system, surplus_entry, missing_file, cut_image, empty_image, not_an_image,
    sound_only_video, both_kinds, unknown_role, late_system, no_answer, two_questions, no_turns, only_system,
    empty_texts, long_text, null_content, single_string, empty_lists, sliver,
)  # fmt: skip


def faulty_row(rng: random.Random, kinds: list[str], fault: Callable[[Row, random.Random], None]) -> Row:
    """A sound row with one fault."""
    row = copy.deepcopy(sound_row(rng, kinds))
    fault(row, rng)
    return row
