"""`budget: frames`: copies of videos with fewer frames, as many as the row has room for."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.cli import main
from curate.fixes.media.fewer_frames import lasting, screening, thinned
from curate.fixes.protocol import CannotMend
from curate.steps.frames import LEAST, most
from curate.steps.tokens import counting
from tests.agreement.media_factory import Clip, make_clip
from tests.curate.steps.scaffold import frame, row
from tests.probes.clips import turned, write_clip, write_fragmented
from tests.scaffold import make_tokenizer
from validators.engine import CheckOptions, check
from validators.probes.facts import Health, MediaFacts
from validators.probes.video import probe_video


def greys(path: Path) -> list[int]:
    """The brightness of each frame."""
    import av

    with av.open(str(path)) as container:
        return [int(frame.to_ndarray(format="gray").mean().round()) for frame in container.decode(video=0)]


def write_ramp(path: Path, frames: int, rate: int = 10, codec: str = "libx264") -> None:
    """Each frame four steps brighter than the one before."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def thin(source: Path, target: Path, count: int) -> tuple[str, MediaFacts]:
    words = thinned(source, target, count, lasting(source))
    return words, probe_video(target)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("count", [2, 7, 12, 39])
def test_a_copy_shows_at_each_time_what_its_source_shows_then(name: str, count: int, tmp_path: Path) -> None:
    """Whether or not the container states a duration."""
    write_ramp(tmp_path / name, 40)
    _, facts = thin(tmp_path / name, tmp_path / "b.mp4", count)
    assert facts.health is Health.OK and facts.frames == count and facts.duration == pytest.approx(4.0, abs=2e-3)
    assert facts.fps == pytest.approx(count / 4, rel=1e-3)
    shown = [4 * (number * 40 // count) for number in range(count)]
    assert np.abs(np.array(greys(tmp_path / "b.mp4")) - shown).max() <= 3


def test_the_same_copy_has_the_same_bytes(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", "libx264", 60)
    for name in ("b.mp4", "c.mp4"):
        thin(tmp_path / "a.mp4", tmp_path / name, 9)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_sound_is_kept_as_it_is_coded(tmp_path: Path) -> None:
    import av

    make_clip(tmp_path / "a.mp4", Clip(30, sound=3), random.Random(1))
    thin(tmp_path / "a.mp4", tmp_path / "b.mp4", 4)
    packets = []
    for name in ("a.mp4", "b.mp4"):
        with av.open(str(tmp_path / name)) as container:
            packets.append([(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size])
    assert packets[0] == packets[1] and len(packets[0]) > 10


def test_turned_and_fragmented_clips_are_thinned_upright_and_whole(tmp_path: Path) -> None:
    write_ramp(tmp_path / "plain.mp4", 40)
    (tmp_path / "a.mp4").write_bytes(turned((tmp_path / "plain.mp4").read_bytes(), 90))
    facts = probe_video(tmp_path / "a.mp4")
    shown = screening(tmp_path / "a.mp4", facts)
    _, copied = thin(tmp_path / "a.mp4", tmp_path / "b.mp4", 5)
    assert (shown.width, shown.height) == (copied.width, copied.height) == (48, 64) and not copied.altered
    write_fragmented(tmp_path / "f.mp4", 30)
    assert probe_video(tmp_path / "f.mp4").frames == 0
    _, copied = thin(tmp_path / "f.mp4", tmp_path / "g.mp4", 6)
    assert copied.frames == 6 and copied.duration == pytest.approx(3.0, abs=0.11)


def test_what_has_no_pictures_or_cannot_be_read_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0" * 99)
    with pytest.raises(CannotMend):
        thinned(tmp_path / "a.mp4", tmp_path / "b.mp4", 3, Fraction(1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@given(
    st.dictionaries(st.integers(0, 2), st.integers(3, 7), min_size=1),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
    st.integers(0, 90),
    st.booleans(),
)
def test_no_video_can_have_more_frames(taken: Mapping[int, int], cost: list[int], room: int, pairs: bool) -> None:
    """Held against all ways to choose: none has as many frames of each video, and more of one."""

    def fits(counts: Mapping[int, int]) -> bool:
        return sum(cost[slot] * (count + count % 2 if pairs else count) for slot, count in counts.items()) <= room

    if fits(taken):
        return
    ways = [dict(zip(taken, counts, strict=True)) for counts in product(*(range(LEAST, n + 1) for n in taken.values()))]
    found = most(taken, fits)
    if found is None:
        assert not any(fits(way) for way in ways)
        return
    assert fits(found) and found in ways
    assert not any(fits(way) and way != found and all(way[slot] >= found[slot] for slot in taken) for way in ways)


FAMILIES = {
    "qwen2_vl": ("qwen2_vl", {"cutoff_len": 700}),
    "qwen3_vl": ("qwen3_vl_nothink", {"cutoff_len": 130}),
    "internvl": ("intern_vl", {"cutoff_len": 340}),
    "v-4.5": ("minicpm_v", {"cutoff_len": 500}),
}


def lay_out(home: Path, template: str, settings: Mapping[str, Any], steps: list[Any], **more: Any) -> Path:
    """A recipe over rows with a clip each, or none: long and short ones."""
    (home / "raw").mkdir()
    write_clip(home / "raw/long.mp4", "libx264", 120, (128, 96))
    write_clip(home / "raw/other.mp4", "mpeg4", 90, (160, 64), 15)
    write_clip(home / "raw/web.mkv", "libx264", 70, (96, 96))
    write_clip(home / "raw/short.mp4", "libx264", 8, (64, 64))
    rows = [("What happens?", ["long.mp4"]), ("And here?", ["other.mp4"]), ("Now?", ["web.mkv"])]
    rows += [("Briefly?", ["short.mp4"]), ("Nothing to see.", []), ("Well, and at length, then?", ["long.mp4"])]
    if template == "qwen2_vl":
        rows.append(("Which is longer?", ["other.mp4", "other.mp4", "short.mp4"]))
    if template == "qwen3_vl_nothink":  # which takes as many units of each video as the first has
        rows.append(("Which is longer?", ["other.mp4", "other.mp4"]))
    lines = [
        {
            "messages": [
                {"role": "user", "content": "<video>" * len(videos) + question},
                {"role": "assistant", "content": "It ends well."},
            ],
            "videos": videos,
        }
        for question, videos in rows
    ]
    (home / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    train = {"template": template, "model_name_or_path": str(home / "model"), **settings}
    (home / "train.yaml").write_text(yaml.safe_dump(train))
    dataset = {"name": "clips", "sources": [{"format": "jsonl", "path": "rows.jsonl"}], "steps": steps}
    recipe = {"version": 1, "target": "out", "media_root": "raw", "media": "store", "trainer": "train.yaml"}
    (home / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"datasets": [dataset]} | more))
    return home / "recipe.yaml"


@pytest.mark.trainer
@pytest.mark.parametrize("name", FAMILIES)
def test_rows_fit_in_the_real_trainer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them trains whole, none is longer than cutoff_len, and one frame more would have been too many."""
    from tests.agreement.oracle import Family, Oracle, make_family, quiet
    from validators.model import Outcome

    quiet()
    template, settings = FAMILIES[name]
    if name.startswith("v-"):
        family = make_family(name, tmp_path / "model", ["What happens? It ends well."])
    else:
        made = import_module(f"tests.agreement.processors.{name}").processor(tmp_path / "model")
        family = Family(name, template, tmp_path / "model", made)
    recipe = lay_out(tmp_path, template, settings, [{"budget": "frames"}])
    monkeypatch.chdir(tmp_path)
    assert main(["build", str(recipe)]) == 0
    out = tmp_path / "out"
    oracle = Oracle(family, out, {**settings, "media_dir": str(out)})
    if name == "internvl":
        oracle.is_doubtful = lambda *_: False  # type: ignore[method-assign]  # no stand-in for its step
    truths = oracle.judge_all("clips")
    rows = json.loads((out / "clips.json").read_text())
    ledger = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    lost = [line for line in ledger if line["action"] == "dropped"]
    assert not lost and len(truths) == len(rows) == (7 if "qwen" in template else 6)
    limit = settings["cutoff_len"]
    assert all(truth.outcome is Outcome.TRAINED and (truth.tokens or 0) <= limit for truth in truths), truths
    changed = [line for line in ledger if line["action"] == "changed" and line["source"] == "step budget"]
    assert len(changed) >= 3, ledger
    manifest = json.loads((out / "manifest.json").read_text())
    given = {path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    made_here = {path for row in rows for path in row["videos"] if (out / path).read_bytes() not in given}
    assert len(made_here) >= 3 and made_here <= set(manifest["files"])
    counted = counting(tmp_path / "train.yaml", out)
    for values, truth in zip(rows, truths, strict=True):
        canonical = frame([row(0) | {"messages": values["messages"], "videos": values["videos"]}])
        (budget,) = counted.budgets(canonical)
        assert budget.exact and budget.tokens == truth.tokens
        if len(values["videos"]) == 1 and values["videos"][0] in made_here:
            facts = probe_video(out / values["videos"][0])
            more = replace(facts, frames=facts.frames + 2, fps=(facts.frames + 2) / (facts.duration or 1))
            assert (counted.with_videos(budget, {0: more}) or limit + 1) > limit


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_tokenizer(tmp_path / "model")
    return tmp_path


def ledger_of(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "out/ledger.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("media", ["store", "hardlink"])
def test_originals_stay_and_what_was_done_is_said(media: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy is a file of the store; a build of the same recipe has the same bytes."""
    recipe = lay_out(home, "qwen2_vl", {"cutoff_len": 700}, [{"budget": ["frames", "drop"]}], media=media)
    assert main(["build", str(recipe)]) == 0
    assert "fewer frames of its videos" in capsys.readouterr().out
    words = [line["reason"] for line in ledger_of(home) if line["source"] == "step budget"]
    assert any("videos[0] with " in reason and " of 24 frames" in reason for reason in words), words
    rows = json.loads((home / "out/clips.json").read_text())
    assert rows[0]["videos"] == rows[5]["videos"]  # one copy for both rows
    copy = home / "out" / rows[0]["videos"][0]
    before = {path: path.read_bytes() for path in (home / "out").rglob("*.m*4")}
    originals = {(home / "raw" / name).read_bytes() for name in ("long.mp4", "other.mp4", "short.mp4")}
    assert copy.read_bytes() not in originals and originals <= set(before.values())
    assert main(["build", str(recipe)]) == 0
    assert before == {path: path.read_bytes() for path in (home / "out").rglob("*.m*4")}
    options = CheckOptions(template="qwen2_vl", model=str(home / "model"), cutoff_len=700, keep_rows=True)
    (dataset,) = check(home / "out", options).datasets
    lengths = [one.tokens for one in (dataset.predictions or {}).values()]
    assert len(lengths) == len(rows) and 560 < max(lengths) <= 700


def test_named_media_have_no_place_for_copies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read, also where no mode is written."""
    recipe = lay_out(home, "qwen2_vl", {"cutoff_len": 700}, [{"budget": "frames"}], media="reference")
    assert main(["build", str(recipe)]) == 2
    said = capsys.readouterr().err
    assert "media: reference" in said and "media: store, copy or hardlink" in said and not (home / "out").exists()


def test_where_frames_do_not_help_the_next_way_is_tried(home: Path) -> None:
    """Exchanges that are too long alone get fewer frames, too; what still does not fit is dropped."""
    recipe = lay_out(home, "qwen2_vl", {"cutoff_len": 420}, [{"budget": ["frames", "split", "drop"]}])
    talk = [
        {"role": "user" if place % 2 == 0 else "assistant", "content": text}
        for place, text in enumerate(["<video>What?", "word " * 20, "More?", "word " * 20, "Last?", "word " * 20])
    ]
    endless = [{"role": "user", "content": "<video>What?"}, {"role": "assistant", "content": "word " * 300}]
    with (home / "rows.jsonl").open("w") as file:
        file.write(json.dumps({"messages": talk, "videos": ["long.mp4"]}) + "\n")
        file.write(json.dumps({"messages": endless, "videos": ["long.mp4"]}) + "\n")
    assert main(["build", str(recipe)]) == 0
    first, second = (line for line in ledger_of(home) if line["source"] == "step budget")
    assert first["action"] == "changed" and "split between turns, some with fewer frames" in first["reason"]
    assert second["action"] == "dropped" and second["reason"] == "longer than 420 tokens"
    rows = json.loads((home / "out/clips.json").read_text())
    said = [message["content"] for row in rows for message in row["messages"]]
    assert said == [message["content"] for message in talk] and len(rows) > 1
    assert [len(row["videos"]) for row in rows] == [1] + [0] * (len(rows) - 1)
    counted = counting(home / "train.yaml", home / "out")
    canonical = frame([row(n) | {"messages": one["messages"], "videos": one["videos"]} for n, one in enumerate(rows)])
    assert all(budget.exact and budget.tokens <= 420 for budget in counted.budgets(canonical))


def test_without_x264_a_copy_is_mpeg_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As even, as long, and the same each time."""
    import av

    write_ramp(tmp_path / "a.mp4", 40, rate=7)
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    for name in ("b.mp4", "c.mp4"):
        _, facts = thin(tmp_path / "a.mp4", tmp_path / name, 9)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert facts.frames == 9 and facts.duration == pytest.approx(40 / 7, abs=2e-3)
    shown = [4 * (number * 40 // 9) for number in range(9)]
    assert np.abs(np.array(greys(tmp_path / "b.mp4")) - shown).max() <= 3
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(CannotMend, match="none of libx264, mpeg4"):
        thin(tmp_path / "a.mp4", tmp_path / "d.mp4", 9)
