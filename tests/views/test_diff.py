"""`curate diff`: random edits are given back exactly; builds, media, hostile text, wrong calls, many rows."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.cli import main
from curate.views.changes import MOST_PARTS, word_changes
from curate.views.compare import moved, paired
from tests.rules.test_laws import json_values
from tests.scaffold import TAGS, Overlay

Project = Callable[[Overlay], Path]


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def conversation(number: int, **more: object) -> dict[str, Any]:
    return {
        "messages": [say("user", f"Question {number}?"), say("assistant", f"Answer {number}.")],
        "images": [],
        **more,
    }


def diff(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> Any:
    assert main(["diff", *arguments, "--output-format", "json", "--limit", "1000"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is (code == 0)
    return found


def one(capsys: pytest.CaptureFixture[str], a: object, b: object, code: int = 1) -> Any:
    """The difference of two data files."""
    Path("a.json").write_text(json.dumps(a))
    Path("b.json").write_text(json.dumps(b))
    return diff(capsys, "a.json", "b.json", code=code)["datasets"][0]


def fewest_moves(numbers: list[int]) -> int:
    """By trying all ends of a rising sequence: n², and right."""
    best = [1] * len(numbers)
    for at, number in enumerate(numbers):
        best[at] = 1 + max((best[before] for before in range(at) if numbers[before] < number), default=0)
    return len(numbers) - max(best, default=0)


EDITS = st.sampled_from(["keep", "keep", "keep", "question", "answer", "image", "role", "turn", "everything", "remove"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(EDITS, min_size=1, max_size=25),
    new=st.integers(0, 4),
    order=st.randoms(use_true_random=False),
    shuffled=st.booleans(),
)
def test_random_edits_come_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    edits: list[str],
    new: int,
    order: random.Random,
    shuffled: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    old = [conversation(number, id=number) for number in range(len(edits))]
    made: list[tuple[int | None, str, dict[str, Any]]] = []
    for number, edit in enumerate(edits):
        row = json.loads(json.dumps(old[number]))
        match edit:
            case "question":
                row["messages"][0]["content"] = f"Other question {number}?"
            case "answer":
                row["messages"][1]["content"] = f"Other answer {number}."
            case "image":
                row["images"] = [f"{number}.jpg"]
            case "role":
                row["messages"][1]["role"] = "user"
            case "turn":
                row["messages"] += [say("user", "More?"), say("assistant", "No.")]
            case "everything":
                row["messages"] = [say("user", f"All {number}"), say("assistant", f"is new {number}")]
        if edit != "remove":
            made.append((number, edit, row))
    for number in range(new):
        made.insert(order.randrange(len(made) + 1), (None, "add", conversation(1000 + number, id=f"new{number}")))
    if shuffled:
        order.shuffle(made)
    kept = [number for number, edit, _ in made if edit == "keep" and number is not None]
    same = len(kept) == len(edits) and not new and not fewest_moves(kept)
    found = one(capsys, old, [row for _, _, row in made], code=0 if same else 1)
    assert found["equal"] == len(kept) and found["moved"] == fewest_moves(kept)
    assert [row["row"] for row in found["removed_rows"]] == [at for at, edit in enumerate(edits) if edit == "remove"]
    assert [row["row"] for row in found["added_rows"]] == [
        at for at, (number, _, _) in enumerate(made) if number is None
    ]
    expected = {at: (number, edit) for at, (number, edit, _) in enumerate(made) if edit not in ("keep", "add")}
    assert {row["row_b"]: row["row_a"] for row in found["changed_rows"]} == {
        at: number for at, (number, _) in expected.items()
    }
    assert found["changed"] == len(expected) and found["rows_b"] == len(made)
    for row in found["changed_rows"]:
        number, edit = expected[row["row_b"]]
        changes = [(change["what"], change["place"], change["a"], change["b"]) for change in row["changes"]]
        match edit:
            case "question":
                assert changes == [("text", "messages[0]", f"Question {number}?", f"Other question {number}?")]
            case "answer":
                assert changes == [("text", "messages[1]", f"Answer {number}.", f"Other answer {number}.")]
            case "image":
                assert changes == [("media", "images", None, f"{number}.jpg")]
            case "role":
                assert changes == [("role", "messages[1]", "assistant", "user")]
            case "turn":
                assert changes == [
                    ("turn", "messages[2]", None, "user: More?"),
                    ("turn", "messages[3]", None, "assistant: No."),
                ]
            case "everything":
                assert [change[:2] for change in changes] == [("text", "messages[0]"), ("text", "messages[1]")]


def test_rows_without_ids_are_known_by_what_they_ask(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    a = [conversation(number) for number in range(6)]
    b = json.loads(json.dumps(a))
    b[0]["messages"][1]["content"] = "Another answer."
    b[1]["messages"][0]["content"] = "Another question, the same answer?"
    b[2]["messages"] = conversation(99)["messages"]
    found = one(capsys, a, b)
    assert [(row["row_a"], row["row_b"]) for row in found["changed_rows"]] == [(0, 0), (1, 1)]
    assert [row["row"] for row in found["added_rows"]] == [row["row"] for row in found["removed_rows"]] == [2]
    assert found["equal"] == 3
    # as often as both have them
    assert one(capsys, [a[0]] * 5, [a[0]] * 3)["removed"] == 2
    assert one(capsys, [a[0]] * 2, [a[0]] * 2, code=0)["equal"] == 2
    # the same conversation in another form of file, under other names
    words = {"user": "human", "assistant": "gpt"}
    renamed = [[{"from": words[turn["role"]], "value": turn["content"]} for turn in row["messages"]] for row in a]
    Path("c.jsonl").write_text("".join(json.dumps({"conversations": turns}) + "\n" for turns in renamed))
    Path("a.json").write_text(json.dumps(a))
    assert diff(capsys, "a.json", "c.jsonl", code=0)["datasets"][0]["equal"] == 6


def test_text_output(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    a = [conversation(0), conversation(1), conversation(2)]
    b = [conversation(2), conversation(0), conversation(3)]
    b[1]["messages"][1]["content"] = "Reply 0."
    Path("a.json").write_text(json.dumps(a))
    Path("b.json").write_text(json.dumps(b))
    assert main(["diff", "a.json", "b.json"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a → b: 3 → 3 rows: 1 equal, 1 changed, 1 added, 1 removed",
        "  ~ row 0 → row 1",
        "    messages[1]  [-Answer-]{+Reply+} 0.",
        "  - row 1  Question 1? | Answer 1.",
        "  + row 2  Question 3? | Answer 3.",
        "They differ.",
    ]
    assert main(["diff", "a.json", "b.json", "--limit", "0"]) == 1
    assert "… 1 more changed" in capsys.readouterr().out
    assert main(["diff", "a.json", "b.json", "--color", "always"]) == 1
    assert "\x1b[31m[-Answer-]" in capsys.readouterr().out
    assert main(["diff", "a.json", "a.json", "--output-format", "markdown"]) == 0
    assert "**No difference.**" in capsys.readouterr().out


def test_datasets_entries_and_media(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    entry = {
        "file_name": "x.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": TAGS,
    }
    rows = [conversation(0) | {"images": ["cat.jpg", "dog.jpg"]}, conversation(1)]
    for home, names in (("one", ("left", "both")), ("two", ("both", "right"))):
        Path(home).mkdir()
        Path(home, "x.json").write_text(json.dumps(rows))
        Path(home, "dataset_info.json").write_text(json.dumps(dict.fromkeys(names, entry)))
        for name in ("cat.jpg", "dog.jpg"):
            Path(home, name).write_bytes(Path(name).read_bytes())
    found = diff(capsys, "one", "two", code=1)
    assert found["datasets_removed"] == ["left"] and found["datasets_added"] == ["right"]
    assert [(item["name"], item["same"]) for item in found["datasets"]] == [("both", True)]
    names = ("one/dataset_info.json:both", "two/dataset_info.json:both")
    diff(capsys, *names, code=0)
    Path("two/dog.jpg").write_bytes(Path("cat.jpg").read_bytes())
    diff(capsys, *names, code=0)
    assert diff(capsys, *names, "--media", code=1)["datasets"][0]["media_changed"] == ["dog.jpg"]
    Path("two/dataset_info.json").write_text(json.dumps({"both": entry | {"num_samples": 5}}))
    assert diff(capsys, *names, code=1)["datasets"][0]["entry"] == [{"name": "num_samples", "a": None, "b": "5"}]


def test_builds(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of builds are known by their source; media by the hashes that the build took."""
    project({})
    recipe = "version: 1\ntarget: {}\ndatasets:\n  - {{name: pets, sources: [{{format: jsonl, path: pets.jsonl}}]}}\n"
    rows = [("cat.jpg", f"A cat {number}.") for number in range(4)] + [("dog.jpg", "A dog.")]
    later = [*rows[:2], ("cat.jpg", "A very other cat."), *rows[3:], ("dog.jpg", "New.")]
    for target, said in (("one", rows), ("two", later)):
        lines = (json.dumps({"file_name": name, "caption": caption}) for name, caption in said)
        Path("pets.jsonl").write_text("\n".join(lines) + "\n")
        Path("recipe.yaml").write_text(recipe.format(target))
        if target == "two":
            Path("dog.jpg").write_bytes(Path("deep.png").read_bytes())
        assert main(["build", "recipe.yaml"]) == 0
    capsys.readouterr()
    found = diff(capsys, "one", "two", code=1)
    pets = found["datasets"][0]
    assert pets["equal"] == 4 and pets["added"] == 1 and pets["removed"] == 0 and pets["moved"] == 0
    assert [(row["row_a"], row["row_b"]) for row in pets["changed_rows"]] == [(2, 2)]
    assert pets["media_changed"] == ["dog.jpg"] and pets["media_added"] == pets["media_removed"] == []
    diff(capsys, "one", "one", code=0)
    assert main(["view", "one", "--id", known_id("one", 3)]) == 0
    assert "one/pets.json  row 3 " in capsys.readouterr().out


def known_id(build: str, row: int) -> str:
    import datasets

    return str(datasets.load_from_disk(f"{build}/arrow/pets")[row]["id"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(json_values, max_size=4))
def test_any_json_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: list[object]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("a", rows), ("b", [*rows, conversation(1)])):
        Path(f"{name}.json").write_text(json.dumps(value))
    codes = [main(["diff", "a.json", other]) for other in ("a.json", "b.json")]
    assert codes[0] in (0, 2) and codes[1] in (1, 2)
    assert main(["view", "b.json"]) in (0, 1, 2) and main(["stats", "b.json"]) in (0, 2)
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\u202e\x00")


def test_hostile_text(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    evil = "\x1b]0;owned\x07\x9b31m\u202e| `x` <script>\n# x \ud800"
    rows = [
        {"messages": [say(evil, evil), say("assistant", evil + str(n))], "images": [evil + str(n)]} for n in range(3)
    ]
    Path("a.json").write_text(json.dumps(rows[:2]))
    Path("b.json").write_text(json.dumps([rows[2], rows[1], evil]))
    for form in ("text", "markdown"):
        assert main(["diff", "a.json", "b.json", "--output-format", form]) == 1
        out = capsys.readouterr().out
        assert not set(out) & set("\x1b\x07\x9b\u202e") and "\n# x" not in out


def test_wrong_calls_and_no_data(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project({})
    Path("none.json").write_text("[]")
    Path("cut.json").write_text('[{"messages": []}, {"mess')
    assert main(["diff", "none.json", "none.json"]) == 0 and main(["diff", "none.json", "data.json"]) == 1
    capsys.readouterr()
    for arguments in (
        ["data.json", "gone.json"],
        ["cut.json", "data.json"],
        ["data.json", "none.json", "--limit", "-1"],
    ):
        assert main(["diff", *arguments]) == 2
        err = capsys.readouterr().err
        assert err.startswith("curate: error: ") and "Traceback" not in err


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_pairs_and_moves(a: list[int], b: list[int]) -> None:
    at_a, at_b = paired(np.array(a, dtype=np.uint64), np.array(b, dtype=np.uint64))
    assert len(at_a) == sum(min(a.count(key), b.count(key)) for key in set(a))
    for one_a, one_b in zip(at_a.tolist(), at_b.tolist(), strict=True):
        assert a[one_a] == b[one_b] and a[:one_a].count(a[one_a]) == b[:one_b].count(b[one_b])
    order = random.Random(len(a)).sample(range(len(b)), len(b))
    assert moved(np.array(order, dtype=np.int64)) == fewest_moves(order)


@given(st.text(alphabet="ab. \n", max_size=60), st.text(alphabet="ab. \n", max_size=60))
def test_word_changes_hold_both_texts(a: str, b: str) -> None:
    pieces = list(word_changes(a, b))
    if not any("…" in text for _, text in pieces):
        assert "".join(text for sign, text in pieces if sign in " -") == a
        assert "".join(text for sign, text in pieces if sign in " +") == b


def test_long_texts_are_one_change_between_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = "x " * MOST_PARTS, "x " * MOST_PARTS + "y"
    assert [*word_changes(a, b)][-1] == ("+", "y") and [sign for sign, _ in word_changes(a, b)] == [" ", "+"]
    a, b = ("".join(f"{word}{side} " for word in range(MOST_PARTS)) for side in "ab")
    assert [*word_changes("same " + a, "same " + b)] == [
        (" ", "same "),
        ("-", a.rstrip()),
        ("+", b.rstrip()),
        (" ", " "),
    ]
    compared: list[int] = []

    class Counting(SequenceMatcher):  # type: ignore[type-arg]
        def get_opcodes(self) -> list[Any]:
            compared.append(len(self.a) + len(self.b))
            return super().get_opcodes()

    monkeypatch.setattr("curate.views.changes.SequenceMatcher", Counting)
    chance = random.Random(1)
    for words in (MOST_PARTS // 4, MOST_PARTS, 100 * MOST_PARTS):
        a, b = (" ".join(chance.choices("xy", k=words)) for _ in range(2))
        assert list(word_changes(a, b))
    assert len(compared) == 1 and 0 < compared[0] <= MOST_PARTS  # the work is squared in it: longer ones are not tried


def test_many_rows_in_bounded_memory(tmp_path: Path, root: Path) -> None:
    peaks = []
    for rows in (50_000, 200_000):
        with (tmp_path / "a.jsonl").open("w") as a, (tmp_path / "b.jsonl").open("w") as b:
            for number in range(rows):
                row = {"messages": [say("user", f"Question {number}?"), say("assistant", "It is said. " * 60)]}
                a.write(json.dumps(row) + "\n")
                row["messages"][1]["content"] += "!" if number % 1000 == 5 else ""
                if number % 1000 != 7:
                    b.write(json.dumps(row) + "\n")
        code = (
            "import sys; from curate.cli import main; code = main(sys.argv[1:]);"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr); sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "diff", "a.jsonl", "b.jsonl", "--output-format", "json"],
            cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        found = json.loads(done.stdout)["datasets"][0]
        assert (found["changed"], found["removed"], found["added"]) == (rows // 1000, rows // 1000, 0)
        assert found["moved"] == 0 and len(found["changed_rows"]) == 10
        peaks.append(int(done.stderr.split()[-1]))
    assert peaks[1] - peaks[0] < 100_000, peaks  # kB, below half of what both files grow by
