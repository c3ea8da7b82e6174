"""Law 6: what is predicted for a row is what the real trainer does with it, to the token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.agreement.compare import Arena, Verdict, account
from tests.agreement.faults import ENTRY_FAULTS, FAULTS, TAG, bases_for
from tests.agreement.media_factory import make_stock
from tests.agreement.oracle import Truth
from tests.agreement.strategies import Plan, RowPlan, kinds_of, plans
from validators.model import Outcome

pytestmark = pytest.mark.trainer
CASES, ROWS = 48, 24
"""Files for each model and rows in most of them: a thousand rows and more in all."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Media and models, made once."""
    work = tmp_path_factory.mktemp("agreement")
    yield Arena(make_stock(work / "media", 11, small=True), work)
    shutil.rmtree(work, ignore_errors=True)


@pytest.mark.parametrize("family", ["qwen2_vl", "v-2.6", "o-2.6"])
def test_predictions_are_what_the_trainer_does(family: str, arena: Arena) -> None:
    """Outcome, length and supervised tokens of every row agree, for sound rows and for every kind of fault."""
    verdicts: list[Verdict] = []

    # every case is run and all that disagree are told together: a thousand rows are one experiment
    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plans(family, ROWS))
    def run(plan: Plan) -> None:
        verdicts.extend(arena.run(plan))

    run()
    assert len(verdicts) >= 400, "three models together are to make a thousand rows"
    assert all(verdict.agrees for verdict in verdicts), account(verdicts)


def one_row(arena: Arena, family: str, fault: str, seed: int = 1) -> Verdict:
    """The verdict on a row with one fault."""
    base = bases_for(kinds_of(family))[0]
    rows = (RowPlan(base, (fault,), seed),)
    return arena.run(Plan(family, "recall", rows, (("cutoff_len", 4096), ("video_maxlen", 8))))[0]


@pytest.mark.parametrize(
    ("family", "fault", "outcome"),
    [
        ("qwen2_vl", "absolute-path", Outcome.TRAINED),
        ("qwen2_vl", "image-exif", Outcome.ALTERED),
        ("qwen2_vl", "image-16bit", Outcome.ALTERED),
        ("qwen2_vl", "image-opaque-alpha", Outcome.TRAINED),
        ("v-2.6", "long-question", Outcome.TRUNCATED),
        ("v-2.6", "ends-with-question", Outcome.DROPPED),
        ("qwen2_vl", "literal-pad-token", Outcome.CRASH_STEP),
        ("v-2.6", "literal-image-end", Outcome.CRASH_STEP),
        ("v-2.6", "image-truncated", Outcome.CRASH_LOAD),
    ],
)
def test_the_oracle_tells_every_outcome(family: str, fault: str, outcome: Outcome, arena: Arena) -> None:
    """The oracle reaches each outcome on a fault whose end is known from the trainer's own code."""
    found = {one_row(arena, family, fault, seed).truth.outcome for seed in range(4)}
    assert outcome in found


def test_a_false_prediction_is_seen(arena: Arena) -> None:
    """A count that is off by one, an outcome that is another, and a missing count all disagree."""
    from dataclasses import replace

    verdict = one_row(arena, "v-2.6", "absolute-path")
    truth = verdict.truth
    assert truth.tokens is not None
    assert verdict.predicted is not None
    right = replace(verdict.predicted, outcome=truth.outcome, tokens=truth.tokens, supervised=truth.supervised)
    assert replace(verdict, predicted=right).agrees
    for wrong in (
        replace(right, tokens=truth.tokens + 1),
        replace(right, supervised=0),
        replace(right, tokens=None, supervised=None),
        replace(right, outcome=Outcome.DROPPED),
        None,
    ):
        assert not replace(verdict, predicted=wrong).agrees
    assert not replace(verdict, predicted=right, truth=Truth(Outcome.CRASH_STEP, 1, 1)).agrees


def test_faults_are_many_and_sourced() -> None:
    """At least forty faults, each with the issue or the module where it was met, over every kind of medium."""
    assert len(FAULTS) + len(ENTRY_FAULTS) >= 40
    assert all("#" in fault.source or fault.source.startswith("data/") for fault in FAULTS.values())
    assert all("#" in source or source.startswith("data/") for source, _ in ENTRY_FAULTS.values())
    assert set(TAG) == {"images", "videos", "audios"}


def test_the_same_seed_makes_the_same_cases(arena: Arena) -> None:
    """A plan is enough to make a case again: its rows and its truths are the same twice."""
    base = bases_for(kinds_of("v-2.6"))[1]
    plan = Plan("v-2.6", "mixed", (RowPlan(base, ("cjk", "surplus-entry"), 5),), (("cutoff_len", 300),), None, 9)
    first, second = arena.run(plan), arena.run(plan)
    assert [verdict.row for verdict in first] == [verdict.row for verdict in second]
    assert [verdict.truth for verdict in first] == [verdict.truth for verdict in second]
