"""The rows that a report shows and the curve of lengths: bounded, exact, and the same for any size of batch."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.rules.test_laws import json_values
from tests.scaffold import ROWS, Overlay, lay_out
from validators.budgets.family import Cut
from validators.engine import CheckOptions, check
from validators.gallery import MOST_CHARS, MOST_TURNS, ROW_CHARS, ROWS_OF_A_RULE, SAMPLED
from validators.lengths import LossCurve, lengths_of, trials
from validators.model import MediaKind, Outcome
from validators.replay.budget import RowBudget
from validators.replay.truncate import EncodedTurn, Masking, truncate
from validators.report.escaping import encodable
from validators.report.html.page import render
from validators.report.model import Layout
from validators.rules.rule import Depth

Project = Callable[[Overlay], Path]


def budget(turns: list[int], lead: int, masking: Masking) -> RowBudget:
    """A counted row."""
    encoded = [EncodedTurn(number, tokens) for number, tokens in enumerate(turns)]
    total = lead + sum(turns) + masking.efficient_eos
    kept = truncate(encoded, lead, total, masking, Cut.COUNT)
    return RowBudget(0, total, 0, True, True, kept, lengths=tuple(turns))


@pytest.mark.parametrize("slack", [0, 1])
@pytest.mark.parametrize(
    "masking",
    [
        Masking(),
        Masking(train_on_prompt=True),
        Masking(mask_history=True),
        Masking(efficient_eos=True),
        Masking(train_on_prompt=True, efficient_eos=True),
        Masking(mask_history=True, efficient_eos=True),
    ],
)
def test_the_curve_is_truncation_under_each_cutoff(masking: Masking, slack: int) -> None:
    """For rows of any number of turns, each tried value gives what `truncate` gives row by row."""
    chance = random.Random(5)
    cutoffs = trials(777)
    curve = LossCurve(masking, slack, cutoffs)
    budgets = [
        budget([chance.choice((1, 3, 40, 700)) + chance.randrange(90) for _ in range(2 * pairs)], lead, masking)
        for pairs in (1, 1, 2, 5, 9)
        for lead in (0, 1, 300)
        for _ in range(4)
    ]
    curve.add(budgets[:20])
    curve.add(budgets[20:])
    for place, cutoff in list(enumerate(cutoffs))[::5]:
        wanted = 0
        for each in budgets:
            turns = [EncodedTurn(number, tokens) for number, tokens in enumerate(each.lengths)]
            lead = each.tokens - sum(each.lengths) - masking.efficient_eos
            wanted += truncate(turns, lead, cutoff - slack, masking, Cut.COUNT).supervised
        assert curve.sums[place] == wanted, cutoff


def test_lengths_are_exact_until_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = array("I", [5, 9, 9, 4, 70])
    assert lengths_of(totals, 1, None).rows == ((5, 1), (6, 1), (10, 2), (71, 1))
    monkeypatch.setattr("validators.lengths.MOST_LENGTHS", 3)
    rounded = lengths_of(totals, 0, None)
    assert (rounded.unit, rounded.rows) == (8, ((8, 2), (16, 2), (72, 1)))


def rows_of(kind: int, number: int) -> dict[str, object]:
    """A sound row, one without an answer, or one with a tag too many."""
    turns = [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": "It is a cat."}]
    if kind == 1:
        turns.pop()
    if kind == 2:
        turns[0]["content"] = "<image>" + turns[0]["content"]
    return {"messages": turns, "images": []}


def test_what_is_kept_is_bounded_and_the_same_for_any_batch(project: Project) -> None:
    data = [rows_of(1 if number % 5 == 0 else 2 if number % 7 == 0 else 0, number) for number in range(600)]
    path = project({"data.json": json.dumps(data)})
    reports = [check(path, CheckOptions(previews=0, batch_rows=size)) for size in (1, 97, 2048)]
    shown = reports[0].datasets[0].shown
    assert all(report.datasets[0].shown == shown for report in reports[1:])
    assert all(report.datasets[0].lengths == reports[0].datasets[0].lengths for report in reports[1:])
    by_code = {
        code: [each.place.row for each in reports[0].findings if each.code == code] for code in ("TRN202", "TAG201")
    }
    kept = {row.row for row in shown}
    for code, rows in by_code.items():
        assert len(rows) > ROWS_OF_A_RULE and set(rows[:ROWS_OF_A_RULE]) <= kept, code
    sound = [row for row in shown if row.row not in {place for rows in by_code.values() for place in rows}]
    assert len(sound) == SAMPLED and max(row.row for row in sound) > 300
    assert {row.outcome for row in sound} == {Outcome.TRAINED} and all(row.tokens for row in sound)
    assert len(shown) <= 2 * ROWS_OF_A_RULE + SAMPLED
    for row in shown:
        assert row.turns[0].text == data[row.row]["messages"][0]["content"]


def test_nothing_is_kept_unless_it_is_asked_for(project: Project) -> None:
    (summary,) = check(project({})).datasets
    assert summary.shown == () and summary.lengths is None


def test_long_rows_are_cut_and_say_so(project: Project) -> None:
    turns = [{"role": ("user", "assistant")[number % 2], "content": "long " * 1000} for number in range(40)]
    path = project({"data.json": json.dumps([*ROWS, {"messages": turns}])})
    row = check(path, CheckOptions(previews=0)).datasets[0].shown[-1]
    assert (len(row.turns), row.turns_left_out) == (MOST_TURNS, 40 - MOST_TURNS)
    assert (len(row.turns[0].text), row.turns[0].left_out) == (MOST_CHARS, 5000 - MOST_CHARS)
    assert sum(len(turn.text) for turn in row.turns) == ROW_CHARS
    assert sum(len(turn.text) + turn.left_out for turn in row.turns) == MOST_TURNS * 5000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values)
def test_any_json_is_shown(value: object, project: Project) -> None:
    """Law 4 for the rows that are kept, and for the page that is made of them."""
    folder = Path.cwd() if Path("data.json").exists() else project({}).parent
    lay_out(folder, {"data.json": json.dumps(value)})
    report = check(folder / "train.yaml", CheckOptions(previews=3))
    page = encodable(render([report], Layout(folder)))
    assert page.endswith("</html>\n") and page.count("</script>") == 2


def test_showing_rows_changes_no_finding(project: Project) -> None:
    path = project({"data.json": json.dumps([rows_of(number % 3, number) for number in range(30)])})
    plain, shown = check(path), check(path, CheckOptions(previews=5))
    assert plain.findings == shown.findings and plain.rows_reaching == shown.rows_reaching


def test_structure_alone_shows_no_media(project: Project) -> None:
    row = {"messages": ROWS[0]["messages"], "images": ["cat.jpg"]}
    path = project({"data.json": json.dumps([row])})
    (shown,) = check(path, CheckOptions(previews=5, depth=Depth.SHAPE)).datasets[0].shown
    assert shown.media[0].preview is None and shown.media[0].reason == "not read" and shown.tokens is None


def test_a_list_of_frames_is_shown_by_its_first(project: Project) -> None:
    turns = [{"role": "user", "content": "<video>?"}, {"role": "assistant", "content": "A."}]
    path = project({"data.json": json.dumps([{"messages": turns, "videos": [["cat.jpg", "dog.jpg"]]}])})
    (medium,) = check(path, CheckOptions(previews=5)).datasets[0].shown[0].media
    assert medium.path == "cat.jpg" and medium.preview is not None and medium.note.startswith("2 frames of 64 × 48")


def test_media_outside_the_root_or_unreadable_are_not_embedded(project: Project) -> None:
    names = ["cat.jpg", "../outside.jpg", "cut.jpg", "nowhere.jpg"]
    data = [
        {
            "messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "A."}],
            "images": [name],
        }
        for name in names
    ]
    shown = check(project({"data.json": json.dumps(data)}), CheckOptions(previews=9)).datasets[0].shown
    media = {row.media[0].path: row.media[0] for row in shown}
    assert list(media) == names and all(each.kind is MediaKind.IMAGE for each in media.values())
    assert [name for name in names if media[name].preview is not None] == ["cat.jpg"]
    assert media["../outside.jpg"].reason == "outside the media root" and "truncated" in media["cut.jpg"].reason
