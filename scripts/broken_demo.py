"""The demo's media with rows that are broken in many ways: what reports are shown, and tested, on.

`python scripts/broken_demo.py FOLDER` writes datasets of pictures, clips and sounds with their train yaml; the same
every time.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEDIA = Path(__file__).resolve().parent.parent / "examples" / "demo" / "media"
QUESTIONS = ("What does the picture show?", "Describe this picture.", "What is in the foreground?", "Who is there?")
COUNTS = {"pictures": 240, "clips": 48, "sounds": 36}

Row = dict[str, Any]


def captions(name: str) -> list[tuple[str, str]]:
    """Path and text of each line of one of the demo's tables."""
    with (MEDIA.parent / name).open(encoding="utf-8", newline="") as file:
        return [(line["file_name"], line["caption"]) for line in csv.DictReader(file) if line["caption"]]


def make_media(folder: Path) -> list[tuple[str, str]]:
    """Copy the demo's media, cut its pictures into more, break some; returns pictures with their captions."""
    from PIL import Image

    shutil.copytree(MEDIA, folder)
    pictures = []
    for path, text in captions("captions.csv"):
        with Image.open(folder / path) as whole:
            for number, share in enumerate((1.0, 0.9, 0.75, 0.6, 0.5)):
                size = (round(whole.width * share), round(whole.height * share))
                left, top = (whole.width - size[0]) * number // 5, (whole.height - size[1]) // 2
                part = whole.crop((left, top, left + size[0], top + size[1]))
                name = f"{Path(path).stem}-{number}.jpg"
                part.resize((size[0] * (1 + number), size[1] * (1 + number))).save(folder / "images" / name, quality=80)
                pictures.append((f"images/{name}", text))
    with Image.open(folder / "images/1.jpg") as picture:
        turned = Image.Exif()
        turned[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(folder / "images/turned.jpg", exif=turned)
        clear = picture.convert("RGBA")
        clear.putalpha(picture.convert("L").point(lambda value: 255 if value > 90 else 0))
        clear.save(folder / "images/clear.png")
    (folder / "images/cut.jpg").write_bytes((folder / "images/2.jpg").read_bytes()[:4000])
    clip = (folder / "clips/3.mp4").read_bytes()
    (folder / "clips/cut.mp4").write_bytes(clip[: len(clip) // 2])
    return pictures


def sharegpt(question: str, answer: str, kind: str, path: str) -> Row:
    """A row of one question and one answer."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, f"{kind}s": [path]}


def brief(number: int) -> str:
    """A wish that no two rows share, so that no row is another's copy."""
    return f"Answer in at most {20 + number} words."


def ask(row: Row, text: str) -> None:
    """Change the question."""
    row["messages"][0]["content"] = text


def answer(row: Row, text: str) -> None:
    """Change the answer."""
    row["messages"][-1]["content"] = text


BREAKS: tuple[tuple[int, Callable[[Row], object]], ...] = (
    (9, lambda row: ask(row, "<image>" + row["messages"][0]["content"])),
    (13, lambda row: ask(row, "And what is this?")),
    (17, lambda row: row["messages"].pop()),
    (19, lambda row: row["messages"][0].update(role="human")),
    (23, lambda row: row.update(images=["images/lost.jpg"])),
    (29, lambda row: row.update(images=["images/turned.jpg"])),
    (31, lambda row: row.update(images=["images/cut.jpg"])),
    (37, lambda row: row.update(images=["images/clear.png"])),
    (41, lambda row: answer(row, "")),
    (43, lambda row: answer(row, row["messages"][-1]["content"] * 14)),
    (47, lambda row: row.update(messages=[])),
    (53, lambda row: ask(row, "<image>" + "Look at every part of the picture with care. " * 70)),
    (59, lambda row: answer(row, "The sign says <|im_end|> in red.")),
)
"""Every how many rows (from that row on) what is done to a row of the pictures."""


def picture_rows(pictures: list[tuple[str, str]]) -> list[Row]:
    """Rows with pictures; each number of BREAKS is prime, so that most broken rows have one fault."""
    chance = random.Random(3)
    rows = []
    for number in range(COUNTS["pictures"]):
        path, text = pictures[number % len(pictures)]
        said = " ".join([text] * chance.choice((1, 1, 1, 2, 2, 3)))
        row = sharegpt(f"<image>{QUESTIONS[number % len(QUESTIONS)]} {brief(number)}", said, "image", path)
        for every, change in BREAKS:
            if number and number % every == 0:
                change(row)
        rows.append(row)
    return rows


def clip_rows() -> list[Row]:
    """Rows with clips, two of them with a file that is cut off."""
    clips = sorted(path for path in (MEDIA / "clips").iterdir() if path.suffix != ".txt")
    rows = []
    for number in range(COUNTS["clips"]):
        path = clips[number % len(clips)]
        text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        rows.append(sharegpt(f"<video>What happens in the video? {brief(number)}", text, "video", f"clips/{path.name}"))
    for number in (11, 35):
        rows[number]["videos"] = ["clips/cut.mp4"]
    rows[20]["messages"].append({"role": "user", "content": "And then?"})
    return rows


def sound_rows() -> list[Row]:
    """Rows with sounds, one without its tag."""
    known = captions("sounds.csv")
    rows = []
    for number in range(COUNTS["sounds"]):
        path, text = known[number % len(known)]
        rows.append(sharegpt(f"<audio>What do you hear? {brief(number)}", text, "audio", path))
    ask(rows[7], "What do you hear?")
    return rows


def write(folder: Path) -> Path:
    """The whole project; returns its train yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "media", ignore_errors=True)
    rows = {"pictures": picture_rows(make_media(folder / "media")), "clips": clip_rows(), "sounds": sound_rows()}
    columns = {"pictures": "images", "clips": "videos", "sounds": "audios"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    info = {}
    for name, these in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(these, ensure_ascii=False, indent=1), encoding="utf-8")
        mapped = {"messages": "messages", columns[name]: columns[name]}
        info[name] = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": mapped, "tags": tags}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
    settings = {
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "model_name_or_path": "Qwen/Qwen2.5-Omni-7B",
        "template": "qwen2_omni",
        "dataset": ",".join(rows),
        "dataset_dir": str(folder),
        "media_dir": str(folder / "media"),
        "video_maxlen": 6,
        "cutoff_len": 640,
        "output_dir": "out",
    }
    (folder / "train.yaml").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return folder / "train.yaml"


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
