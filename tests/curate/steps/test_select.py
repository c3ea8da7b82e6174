"""Steps that choose rows: filter, shuffle, sample, split, mix."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curate.steps.columns import COLUMNS, with_columns
from curate.steps.filter import parse
from curate.steps.mix import Mix, mix, shares
from curate.steps.run import Named
from curate.steps.sample import Sample, Shuffle
from curate.steps.split import Split, grouped
from curate.steps.step import Note, Surroundings
from tests.curate.steps.scaffold import frame, load, row, run_all, store
from validators.errors import UsageFault

NOWHERE = Surroundings(Path("/nonexistent"))


def kept(condition: str, rows: list[dict[str, Any]], around: Surroundings = NOWHERE) -> list[str]:
    return parse("x", condition)(frame(rows), around).rows["id"].to_list()


def test_every_column_can_be_named_in_a_condition() -> None:
    """Each gives one value a row, on rows with and without media."""
    rows = frame([row(0), row(1, images=["a.jpg"]), row(2, videos=["b.mp4"], audios=["c.wav"])])
    for name in COLUMNS.keys() - {"tokens"}:
        assert len(with_columns(rows, [name], NOWHERE)[name]) == 3
        assert len(parse("x", f"{name} IS NOT NULL")(rows, NOWHERE).rows) <= 3


def test_a_filter_keeps_what_holds_and_says_why_it_drops() -> None:
    rows = [row(0, "No."), row(1, "A long answer."), row(2, "Also rather long.")]
    passed = parse("x", "answer_chars > 5 AND answer NOT LIKE 'Also%'")(frame(rows), NOWHERE)
    assert passed.rows["id"].to_list() == ["0001"]
    assert [(note.row, note.action) for note in passed.notes] == [(0, "dropped"), (2, "dropped")]
    assert "answer_chars > 5" in passed.notes[0].reason


def test_a_filter_sees_media_facts(tmp_path: Path) -> None:
    """Headers are read where a condition names what they hold; without media, or without a header, null is false."""
    Image.new("RGB", (64, 16)).save(tmp_path / "wide.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    rows = [row(0, images=["wide.png"]), row(1, images=["wide.png", "small.png"]), row(2), row(3, images=["gone.png"])]
    around = Surroundings(tmp_path)
    assert kept("width >= 32", rows, around) == ["0000"]
    assert kept("aspect >= 4", rows, around) == ["0000", "0001"]
    assert kept("width IS NULL", rows, around) == ["0002", "0003"]
    assert kept("kinds = 'image' AND n_images = 2", rows, around) == ["0001"]


@pytest.mark.parametrize(
    "condition", ["", "wdith > 3", "1 = 1", "answer_chars", "answer_chars >", "SELECT 1", "read_csv('/etc/passwd')"]
)
def test_what_is_no_condition_is_refused(condition: str) -> None:
    """At the recipe already, or at the first batch where its type shows only there."""
    with pytest.raises(UsageFault) as fault:
        parse("datasets[0].steps[1]", condition)(frame([row(0)]), NOWHERE)
    assert "filter" in str(fault.value) or "datasets[0].steps[1]" in str(fault.value)


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(UsageFault, match="did you mean 'width'"):
        parse("x", "wdith > 3")


@given(st.permutations(range(12)), st.integers(0, 5))
def test_shuffle_and_sample_do_not_depend_on_the_order_of_rows(order: list[int], seed: int) -> None:
    """Chance follows from seed and id alone; a sample keeps the order in which rows came."""
    rows = frame([row(number) for number in order])
    ids = rows["id"]
    shuffled = ids.gather(Shuffle(seed).choose(rows, NOWHERE).rows[""]).to_list()
    straight = frame([row(number) for number in range(12)])
    assert shuffled == straight["id"].gather(Shuffle(seed).choose(straight, NOWHERE).rows[""]).to_list()
    taken = Sample(rows=5, seed=seed).choose(rows, NOWHERE)
    assert taken.rows[""].is_sorted() and len(taken.rows[""]) == 5 and len(taken.notes) == 7
    assert set(ids.gather(taken.rows[""])) <= set(ids.gather(Sample(rows=6, seed=seed).choose(rows, NOWHERE).rows[""]))


def test_another_seed_is_another_order() -> None:
    rows = frame([row(number) for number in range(50)])
    assert Shuffle(1).choose(rows, NOWHERE).rows[""].to_list() != Shuffle(2).choose(rows, NOWHERE).rows[""].to_list()


def test_groups_hang_together_over_several_media() -> None:
    """a-b by one file and b-c by another makes one group of three."""
    assert grouped([["1"], ["1", "2"], ["2"], [], ["3"]], [1, 2, 3, 4, 4]) == [[0, 1, 2], [3, 4]]


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=120), st.integers(0, 3))
def test_no_medium_is_on_both_sides_and_no_row_is_lost(media: list[list[int]], seed: int) -> None:
    """Whatever is shared by whom."""
    rows = frame([row(number, images=[f"{each}.jpg" for each in paths]) for number, paths in enumerate(media)])
    step = Split((("eval", 0.2), ("test", 0.1)), seed=seed)
    chosen = step.choose(with_columns(rows, step.columns, NOWHERE), NOWHERE).rows
    assert sorted(number for part in chosen.values() for number in part) == list(range(len(media)))
    homes = defaultdict(set)
    for name, part in chosen.items():
        for number in part:
            for each in media[number]:
                homes[each].add(name)
    assert all(len(names) == 1 for names in homes.values())


def test_a_split_has_its_share_of_every_stratum() -> None:
    """Rows of their own: each part's share holds to the row, in each stratum."""
    rows = frame([row(number, images=[f"{number}.jpg"] if number % 4 else []) for number in range(400)])
    step = Split((("eval", 0.1), ("test", 0.05)), stratify="kinds", seed=3)
    seen = with_columns(rows, step.columns, NOWHERE)
    chosen = step.choose(seen, NOWHERE).rows
    counts = {name: Counter(seen["kinds"].gather(part)) for name, part in chosen.items()}
    assert counts["eval"] == {"image": 30, "text": 10} and counts["test"] == {"image": 15, "text": 5}
    assert counts[""] == {"image": 255, "text": 85}


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=2), st.floats(0.1, 9)), min_size=1), st.integers(0, 99))
def test_shares_add_up(weights: list[tuple[str, float]], total: int) -> None:
    named = tuple(dict(weights).items())
    assert sum(shares(named, total).values()) == total


def test_a_mixture_has_its_weights() -> None:
    """Without a total it is as large as the scarcest dataset allows; with one, what is missing is said."""
    data = {name: frame([row(number) for number in range(size)]) for name, size in (("a", 100), ("b", 30))}
    drawn = mix(Mix((("a", 1), ("b", 1))), data)
    assert Counter(drawn.rows["dataset"]) == {"a": 30, "b": 30} and not drawn.missing
    assert drawn.rows.unique().height == 60
    assert drawn.rows["dataset"].to_list() != sorted(drawn.rows["dataset"])
    short = mix(Mix((("a", 1), ("b", 1)), total=100), data)
    assert Counter(short.rows["dataset"]) == {"a": 50, "b": 30} and short.missing == {"b": 20}
    again = mix(Mix((("a", 1), ("b", 1)), total=100, repeat=True), data)
    assert Counter(again.rows["dataset"]) == {"a": 50, "b": 50} and not again.missing
    assert max(Counter(again.rows.filter(pl.col("dataset") == "b")["row"]).values()) == 2


def test_a_mixture_can_be_weighed_by_a_column() -> None:
    """Tokens, say: the larger part of the last row has to fit."""
    data = {
        name: frame([row(number) for number in range(100)]).with_columns(tokens=pl.lit(size))
        for name, size in (("long", 10), ("short", 2))
    }
    drawn = mix(Mix((("long", 1), ("short", 1)), total=200, unit="tokens"), data)
    assert Counter(drawn.rows["dataset"]) == {"long": 10, "short": 50}


def test_steps_run_over_files_and_tell_the_ledger(tmp_path: Path) -> None:
    """Counts before and after each step; ids in the ledger; a split's parts in files of their own."""
    source = store([row(number, "Yes." if number % 3 else "N") for number in range(2500)], tmp_path / "in.arrow")
    told: list[tuple[str, str, Note]] = []
    steps = [
        Named("filter", parse("x", "answer_chars > 1")),
        Named("filter", parse("x", "id <> '0001'")),
        Named("shuffle", Shuffle(1)),
        Named("split", Split((("eval", 0.1),))),
        Named("sample", Sample(rows=100)),
    ]
    outputs, counts = run_all(
        source,
        steps,
        Surroundings(tmp_path),
        tmp_path,
        lambda *line: told.append(line),
    )
    assert [(count.step, count.before, count.after) for count in counts] == [
        ("filter", 2500, 1666),
        ("filter", 1666, 1665),
        ("shuffle", 1665, 1665),
        ("split", 1665, 1665),
        ("sample", 1665 - 167, 100),
    ]
    assert len(told) == 834 + 1 + 1398
    assert [name for name, _, note in told if note.reason == "not id <> '0001'"] == ["filter"]
    rest, evaluated = load(outputs[""]), load(outputs["eval"])
    assert len(rest) == 100 and len(evaluated) == 167
    assert not {value["id"] for value in rest} & {value["id"] for value in evaluated}
    assert [value["id"] for value in evaluated] != sorted(value["id"] for value in evaluated)


def test_an_empty_dataset_passes_every_step(tmp_path: Path) -> None:
    source = store([], tmp_path / "in.arrow")
    steps = [Named("filter", parse("x", "turns > 1")), Named("shuffle", Shuffle()), Named("sample", Sample(rows=3))]
    outputs, counts = run_all(source, steps, NOWHERE, tmp_path, lambda *line: None)
    assert load(outputs[""]) == [] and [count.after for count in counts] == [0, 0, 0]
