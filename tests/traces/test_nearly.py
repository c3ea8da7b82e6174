"""Near duplicates: what is planted is found, and what only looks alike is not."""

from __future__ import annotations

import io
import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw

from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.rules.rule import Depth
from validators.thresholds import Thresholds
from validators.traces import nearly
from validators.traces.copies import same_bytes
from validators.traces.hashing import Numbers
from validators.traces.pairs import CROWD, pairs_in
from validators.traces.pictures import SIDE, agree, copy_of, near, packed, vectors
from validators.traces.shingles import SHORTEST, likeness, min_keys

Project = Callable[[Overlay], Path]


def words(rng: random.Random, count: int) -> list[str]:
    """Made-up words."""
    return ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(count)]


def natural(count: int, seed: int) -> Numbers:
    """Small grey pictures with the spectrum of photographs: much that is large, little that is small."""
    rng = np.random.default_rng(seed)
    away = np.hypot(*np.meshgrid(np.fft.fftfreq(4 * SIDE), np.fft.fftfreq(4 * SIDE)))
    away[0, 0] = 1
    made = np.fft.ifft2(np.fft.fft2(rng.standard_normal((count, 4 * SIDE, 4 * SIDE))) / away**1.2).real
    made = made[:, : 2 * SIDE, : 2 * SIDE]
    made -= made.mean(axis=(1, 2), keepdims=True)
    return np.clip(made / made.std(axis=(1, 2), keepdims=True) * 45 + 128, 0, 255).astype(np.uint8)


def jpeg(image: Image.Image, quality: int = 95) -> bytes:
    """The image as a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def test_near_texts_are_those_of_all_pairs(project: Project) -> None:
    """Of rows that are edited more or less, those are found that a comparison of all pairs finds."""
    rng = random.Random(5)
    texts: list[list[str]] = []
    for _ in range(25):
        texts.append(words(rng, 40))
        for share in (0.02, 0.05, 0.1, 0.2, 0.4):
            edited = [word if rng.random() > share else words(rng, 1)[0] for word in texts[-1]]
            texts.append(edited)
    rng.shuffle(texts)
    rows = []
    for text in texts:
        turns = (("user", "Say it."), ("assistant", " ".join(text)))
        rows.append({"messages": [{"role": role, "content": content} for role, content in turns]})
    least = Thresholds().near_text_likeness
    whole = ["\n".join(turn["content"] for turn in row["messages"]) for row in rows]
    expected = set()
    for number, text in enumerate(whole):
        if text in whole[:number]:
            continue
        for other in range(number):
            shares = likeness(text, whole[other]), likeness(text[8:], whole[other][8:])
            if min(shares) >= least:
                expected.add(number)
    train = project({"data.json": json.dumps(rows)})
    for size in (3, 2048):
        report = check(train, CheckOptions(depth=Depth.DECODE, batch_rows=size))
        found = [item.place.row for item in report.findings if item.code == "DUP306"]
        assert len(found) == len(set(found))
        assert set(found) == expected
    assert 20 < len(expected) < len(rows) / 2


def test_one_long_question_to_all_rows_makes_no_pairs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers are compared in full only if their keys say that they may be alike."""
    compared = []
    monkeypatch.setattr(nearly, "likeness", lambda one, other: compared.append(one) or likeness(one, other))
    chance = random.Random(5)
    question = "Describe everything that can be seen in this picture, from the left to the right, in detail. " * 3
    rows = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "".join(chance.choices(string.ascii_lowercase + " ", k=200))},
            ]
        }
        for _ in range(600)
    ]
    near = json.loads(json.dumps(rows[17]))
    near["messages"][1]["content"] += "!"
    report = check(project({"data.json": json.dumps([*rows, near])}), CheckOptions(depth=Depth.DECODE))
    assert [item.place.row for item in report.findings if item.code == "DUP306"] == [600]
    assert len(compared) < 20


def test_keys_do_not_depend_on_the_other_texts() -> None:
    """A text has the keys that it has alone; unlike texts share none."""
    rng = random.Random(1)
    texts = [" ".join(words(rng, rng.randint(20, 60))) for _ in range(300)]
    texts[7] = "标" * SHORTEST
    texts[8] = "\ud800" * SHORTEST
    keys = min_keys(pl.Series(texts[:8] + texts[9:]))
    assert (min_keys(pl.Series(texts[3:6])) == keys[3:6]).all()
    assert all(len(np.unique(band)) == len(keys) for band in keys.T)
    assert min_keys(pl.Series([], dtype=pl.String)).shape == (0, keys.shape[1])


def test_planted_pictures_are_found_and_no_others() -> None:
    """Among 3,000 pictures like photographs, noisy copies are found: those pairs that a comparison of all finds."""
    pictures = natural(3000, 3).astype(np.float32)
    noise = np.random.default_rng(4).normal(0, 4, (100, 2 * SIDE, 2 * SIDE))
    whole = np.stack([packed(each) for each in (*pictures, *np.clip(pictures[:100] + noise, 0, 255))])
    shown, units = vectors(whole)
    assert len(shown) == len(whole)
    everyone = np.triu(units @ units.T, 1)
    close = np.argwhere(everyone >= 0.98)
    expected = {(int(one), int(other)) for one, other in close[agree(whole[close[:, 0]], whole[close[:, 1]])]}
    assert expected >= {(number, 3000 + number) for number in range(0, 100, 7)}
    found = {(one, other) for one, other, _ in near(whole, 0.98)}
    assert found <= expected
    assert len(found) >= len(expected) - 1


def test_size_compression_and_brightness_leave_a_picture_what_it_is() -> None:
    """And a mirror does not."""
    picture = Image.fromarray(natural(1, 8)[0]).resize((640, 480), Image.Resampling.BICUBIC).convert("RGB")
    altered = [jpeg(picture, 30), jpeg(picture.resize((200, 150))), jpeg(picture.point(lambda value: value * 0.8))]
    altered.append(jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    _, units = vectors(np.stack([made for each in (jpeg(picture), *altered) if (made := copy_of(each)) is not None]))
    alike = units[1:] @ units[0]
    assert (alike[:3] > 0.98).all() and alike[3] < 0.9


def page(rng: random.Random) -> Image.Image:
    """A white page of dark lines of words."""
    image = Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(image)
    for top in range(60, 1040, 20):
        left = 60
        while left < 790:
            width = rng.randint(15, 80)
            draw.rectangle((left, top, min(left + width, 790), top + 10), fill=60)
            left += width + 9
    return image


def chart(rng: random.Random) -> Image.Image:
    """Six bars on the same axes."""
    image = Image.new("L", (640, 480), 255)
    draw = ImageDraw.Draw(image)
    draw.line((50, 20, 50, 440, 620, 440))
    for number in range(6):
        draw.rectangle((80 + number * 90, 440 - rng.randint(20, 400), 140 + number * 90, 440), fill=90)
    return image


@pytest.mark.parametrize("make", [page, chart])
def test_pages_and_charts_are_not_all_alike(make: Callable[[random.Random], Image.Image]) -> None:
    """Pictures of one layout and different content."""
    rng = random.Random(2)
    copies = np.stack([made for _ in range(150) if (made := copy_of(jpeg(make(rng)))) is not None])
    assert len(copies) == 150
    assert list(near(copies, Thresholds().near_image_likeness)) == []


def test_flat_pictures_and_slopes_are_not_compared() -> None:
    """They say nothing of what they show, and are alike without being the same."""
    plain: list[Any] = [Image.new("RGB", (300, 200), name) for name in ("red", "white", "black")]
    plain += [Image.linear_gradient("L"), Image.linear_gradient("L").rotate(90), Image.linear_gradient("L").rotate(180)]
    copies = np.stack([made for each in plain if (made := copy_of(jpeg(each))) is not None])
    assert len(copies) == len(plain)
    assert list(near(copies, 0.95)) == []


def test_what_is_no_picture_has_no_copy(tmp_path: Path) -> None:
    """No exception either, whatever the bytes."""
    (tmp_path / "cut.jpg").write_bytes(jpeg(page(random.Random(1)))[:700])
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    for source in (b"", b"\x89PNG\r\n\x1a\n", bomb.getvalue(), tmp_path / "none.jpg", tmp_path / "cut.jpg", tmp_path):
        assert copy_of(source) is None


def test_all_pairs_of_a_group_and_near_ones_of_a_crowd() -> None:
    """Small groups in full; of a crowd, each member with the first and with its neighbours."""
    keys = np.array([3, 1, 3, 2, 3] + [9] * (3 * CROWD))
    pairs = set(zip(*(side.tolist() for side in pairs_in(keys)), strict=True))
    assert {pair for pair in pairs if max(pair) < 5} == {(0, 2), (0, 4), (2, 4)}
    crowd = {pair for pair in pairs if max(pair) >= 5}
    assert {other for first, other in crowd if first == 5} == set(range(6, len(keys)))
    assert len(pairs) == sum(map(len, (pairs_in(keys)[0],)))
    assert all(len(side) == 0 for side in pairs_in(np.array([], np.int64)))


def test_same_bytes_of_files_of_one_size(tmp_path: Path) -> None:
    """Empty files, folders and what is not there are the copies of nothing."""
    content = {"a": b"one", "b": b"two", "c": b"one", "d": b"", "e": b"", "f": b"more", "g": b"one"}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    names = [str(tmp_path / name) for name in [*content, "gone", "."]]
    assert list(same_bytes(names)) == [
        (str(tmp_path / "c"), str(tmp_path / "a")),
        (str(tmp_path / "g"), str(tmp_path / "a")),
    ]


def test_bytes_in_the_data_are_compared_too(project: Project, tmp_path: Path) -> None:
    """Pictures inside a Parquet file, one of them brighter."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = Image.fromarray(natural(1, 9)[0]).resize((320, 240)).convert("RGB")
    other = Image.fromarray(natural(1, 10)[0]).resize((320, 240)).convert("RGB")
    files = [jpeg(picture), jpeg(other), jpeg(picture.point(lambda value: value * 0.9))]
    turns = [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A blur."}]
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    entry = {"file_name": "data.parquet", "formatting": "sharegpt", "columns": columns, "tags": tags}
    train = project({"dataset_info.json": json.dumps({"data": entry})})
    table = pa.table({"messages": [turns] * 3, "images": pa.array([[each] for each in files], pa.list_(pa.binary()))})
    pq.write_table(table, "data.parquet")
    report = check(train, CheckOptions(depth=Depth.DECODE))
    assert [(item.code, item.place.row) for item in report.findings if item.code[:3] == "DUP"] == [("DUP308", 2)]
