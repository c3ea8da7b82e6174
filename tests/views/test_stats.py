"""`curate stats`: its numbers against plain Python over the same JSON, hostile text, no data, many rows."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.cli import main
from curate.views.numbers import KEY_CHARS, Common, Spread, sparkline
from tests.scaffold import Overlay
from validators.engine import CheckOptions, check

Project = Callable[[Overlay], Path]
KINDS = ("images", "videos", "audios")


def spread(numbers: Sequence[float]) -> dict[str, float] | None:
    """The same by hand: the lowest number that at least so many per cent do not exceed."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    ranks = {
        name: ordered[max(math.ceil(share * len(ordered)), 1) - 1]
        for name, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95))
    }
    total = sum(ordered)
    return {
        "count": len(ordered),
        "min": ordered[0],
        **ranks,
        "max": ordered[-1],
        "mean": total / len(ordered),
        "sum": total,
    }


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def some_rows(number: int) -> list[dict[str, Any]]:
    """Rows of all modalities, with repeated questions and media."""
    chance = random.Random(7)
    pools = {
        "images": ["cat.jpg", "dog.jpg", "cat.jpg", "gone.jpg"],
        "videos": ["clip.mp4", "stream.mkv"],
        "audios": ["tone.wav"],
    }
    rows = []
    for _ in range(number):
        media = {kind: chance.sample(pools[kind], chance.choice((0, 0, 1))) for kind in KINDS}
        tags = "".join(f"<{kind[:-1]}>" for kind in KINDS for _ in media[kind])
        messages = [say("system", "Be kind. 你好")] if chance.random() < 0.3 else []
        for turn in range(chance.choice((1, 1, 2, 3))):
            question = chance.choice(("What is it?", "Describe.", "Why? " * chance.randrange(90)))
            messages += [
                say("user", (tags if turn == 0 else "") + question),
                say("assistant", "é" * chance.randrange(300)),
            ]
        rows.append({"messages": messages, **media})
    return rows


def stats(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["stats", *arguments, "--output-format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_numbers_are_those_of_plain_python(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    rows = some_rows(300)
    train = project({"data.json": json.dumps(rows)})
    whole = stats(capsys, str(train))
    found = whole["datasets"][0]
    assert whole["all"] == found | {"name": None, "evaluates": None}
    spoken = [[turn for turn in row["messages"] if turn["role"] != "system"] for row in rows]
    assert found["rows"] == 300 and found["unreadable_rows"] == 0 and found["reading_ended"] is None
    assert found["turns"] == spread([len(turns) for turns in spoken])
    assert found["roles"] == Counter(turn["role"] for row in rows for turn in row["messages"])
    for role, name in (("user", "question"), ("assistant", "answer")):
        texts = [turn["content"] for turns in spoken for turn in turns if turn["role"] == role]
        assert found[f"{name}_chars"] == pytest.approx(spread([len(text) for text in texts]))
        bare = Counter(
            text.replace("<image>", "").replace("<video>", "").replace("<audio>", "").strip() for text in texts
        )
        top = sorted(bare.items(), key=lambda item: (-item[1], item[0]))[:5]
        shown = [(text if len(text) <= KEY_CHARS else f"{text[:KEY_CHARS]}…", count) for text, count in top]
        assert found[f"{name}s"]["distinct"] == len(bare) and found[f"{name}s"]["exact"] is True
        assert [(item["text"], item["count"]) for item in found[f"{name}s"]["top"]] == shown
    words = Counter("+".join(kind[:-1] for kind in KINDS if row[kind]) or "text" for row in rows)
    assert found["modalities"] == words
    for kind in KINDS:
        media = found["media"][kind[:-1]]
        paths = [path for row in rows for path in row[kind]]
        assert media["entries"] == len(paths) and media["distinct"] == len(set(paths))
        assert media["bytes"] == spread([Path(path).stat().st_size for path in set(paths) if Path(path).exists()])
    assert found["media"]["image"]["health"] == {"ok": 2, "missing": 1}
    assert found["media"]["image"]["width"] == spread([64, 640]) and found["media"]["image"]["height"] == spread(
        [48, 480]
    )
    assert found["media"]["image"]["aspect"] == spread([4 / 3, 4 / 3]) and found["media"]["image"]["formats"] == {
        "JPEG": 2
    }
    codecs = [found["media"][kind]["codecs"] for kind in ("image", "video", "audio")]
    assert codecs == [{"RGB": 2}, {"mpeg4 yuv420p": 2}, {"pcm_s16le mono": 1}]
    assert found["media"]["audio"]["rate"] == spread([16000]) and found["media"]["audio"]["duration"] == spread([1.0])
    assert found["media"]["video"]["frames"] == spread([30, 30]) and found["media"]["video"]["fps"] == spread(
        [10.0, 10.0]
    )


def test_tokens_are_the_check_s(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in some_rows(120) if "gone.jpg" not in row["images"] and not row["audios"]]
    train = project({"data.json": json.dumps(rows), "train.yaml": "cutoff_len: 160\n"})
    found = stats(capsys, str(train))["datasets"][0]["tokens"]
    summary = check(train, CheckOptions()).datasets[0]
    assert found["rows_counted"] == summary.counted > 50 and found["tokens"]["max"] == summary.longest
    assert found["tokens"]["sum"] == summary.tokens and found["media"]["sum"] == summary.media_tokens > 0
    assert found["supervised"]["sum"] == summary.supervised
    assert found["text"]["sum"] == summary.tokens - summary.media_tokens
    assert 0 < found["over_cutoff_len"] < summary.counted
    assert sum(found["not_counted"].values()) == len(rows) - summary.counted
    # the same data as a bare dataset, counted by the yaml
    again = stats(capsys, "dataset_info.json:data", "--trainer", str(train))["datasets"][0]["tokens"]
    assert again == found
    assert stats(capsys, "dataset_info.json:data")["datasets"][0]["tokens"] is None


def test_datasets_add_up(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = some_rows(40), some_rows(70)[40:]
    project({})
    columns = {"messages": "messages"} | {kind: kind for kind in KINDS}
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }
    entry = {"formatting": "sharegpt", "columns": columns, "tags": tags}
    info = {name: entry | {"file_name": f"{name}.json"} for name in ("one", "other")} | {"hub": {"hf_hub_url": "a/b"}}
    for name, rows in (("one", one), ("other", other), ("both", one + other)):
        Path(f"{name}.json").write_text(json.dumps(rows))
    Path("dataset_info.json").write_text(json.dumps(info))
    found = stats(capsys, "dataset_info.json")
    assert [item["name"] for item in found["datasets"]] == ["one", "other"]
    assert found["not_read"] == [{"name": "hub", "reason": "on a hub, or preference data"}]
    both = stats(capsys, "both.json")["datasets"][0]
    assert found["all"] == both | {"name": None, "evaluates": None}


def test_hostile_text_and_broken_rows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e| `x` <script>\n\n# x"
    turns = [say("user", evil), say("assistant", evil)] * 2
    rows = [
        {"messages": turns, "images": [evil]},
        {"messages": turns, "images": []},
        {"messages": 7},
        None,
        {"messages": [1]},
    ]
    train = project({"data.json": json.dumps(rows)})
    for form in ("text", "markdown"):
        assert main(["stats", str(train), "--output-format", form]) == 0
        out = capsys.readouterr().out
        assert not set(out) & set("\x1b\x07\x9b\u202e") and "\n# x" not in out
        assert form == "text" or "&#60;script&#62;" in out
    found = stats(capsys, str(train))["datasets"][0]
    assert found["rows"] == 5 and found["unreadable_rows"] == 3 and sum(found["modalities"].values()) == 2


@pytest.mark.parametrize("data", ["[]", "", "[{", '[{"messages": []}]'])
def test_no_data(project: Project, capsys: pytest.CaptureFixture[str], data: str) -> None:
    train = project({"data.json": data})
    found = stats(capsys, str(train))["datasets"][0]
    assert found["rows"] == (1 if "messages" in data else 0) and found["answer_chars"] is None
    assert (found["reading_ended"] is None) is (data.startswith("[") and data.endswith("]"))
    for form in ("text", "markdown"):
        assert main(["stats", str(train), "--output-format", form]) == 0


def test_wrong_calls(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    train = project({})
    for arguments in (
        [str(train), "--trainer", str(train)],
        ["nothing.json"],
        ["dataset_info.json:dat"],
        ["data.json", "--trainer", "no.yaml"],
    ):
        assert main(["stats", *arguments]) == 2
        assert "Traceback" not in (words := capsys.readouterr().err) and words.startswith("curate: error: ")
    assert main(["stats", "dataset_info.json:dat"]) == 2 and "did you mean 'data'" in capsys.readouterr().err


def test_texts_beyond_the_bound_are_lower_bounds() -> None:
    common = Common(most=100)
    true: Counter[str] = Counter()
    chance = random.Random(3)
    for _ in range(400):
        texts = [("often", 2), *((f"rare {chance.randrange(5000)}", 1) for _ in range(8))]
        for text, count in texts:
            true[text] += count
        common.extend(texts)
    assert common.forgotten and len(common.counts) <= 108 and common.distinct >= 100
    assert common.top(1) == [("often", 800)]
    assert all(count <= true[text] for text, count in common.counts.items())
    long = Common()
    long.extend([("x" * 500 + "a", 1), ("x" * 500 + "b", 1), ("x" * 500 + "a", 1)])
    assert [count for _, count in long.top(5)] == [2, 1]


def test_histograms() -> None:
    numbers = Spread()
    for number in [0] * 8 + [10] + [5] * 4:
        numbers.add(number)
    assert numbers.bars(5) == [8, 0, 4, 0, 1] and sparkline(numbers.bars(5)) == "█ ▄ ▁"
    assert Spread().bars(3) == [0, 0, 0] and sparkline([]) == ""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, root: Path) -> None:
    line = json.dumps({"messages": [say("user", "Say it. " * 30), say("assistant", "It is said. " * 60)]})
    peaks = []
    for rows in (50_000, 200_000):
        (tmp_path / "many.jsonl").write_text(f"{line}\n" * rows)
        code = (
            "import sys; from curate.cli import main; code = main(sys.argv[1:]);"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr); sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "stats", "many.jsonl", "--output-format", "json"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["datasets"][0]["rows"] == rows
        peaks.append(int(done.stderr.split()[-1]))
    assert peaks[1] - peaks[0] < 80_000, peaks  # kB, half of what the file grows by
