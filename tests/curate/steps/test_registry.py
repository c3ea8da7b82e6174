"""Steps as a recipe writes them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.steps.budget import Budget
from curate.steps.clean import Clean
from curate.steps.registry import KINDS, read_steps
from curate.steps.sample import Sample, Shuffle
from curate.steps.split import Split
from validators.errors import UsageFault


def test_every_step_s_example_is_read() -> None:
    """Its words in the reference, too."""
    for kind in KINDS.values():
        (named,) = read_steps("steps", [yaml.safe_load(kind.example)])
        assert named.name == kind.name


def test_options_come_out_as_written() -> None:
    written = """
    - clean
    - budget
    - budget: split
    - shuffle: {seed: 3}
    - sample: {share: 0.5}
    - split: {eval: 0.1, test: 0.2, stratify: kinds, seed: 4}
    """
    assert [named.step for named in read_steps("steps", yaml.safe_load(written))] == [
        Clean(),
        Budget(("drop",)),
        Budget(("split",)),
        Shuffle(3),
        Sample(None, 0.5, 0),
        Split((("eval", 0.1), ("test", 0.2)), "kinds", 4),
    ]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("fliter: x", "did you mean 'filter'"),
        ("{}", "one of"),
        ("{shuffle: {}, clean: {}}", "one of"),
        ("3", "one of"),
        ("filter: 3", "an SQL condition"),
        ("clean: {deep: true}", "no options"),
        ("budget: keep", "frames, split or drop"),
        ("shuffle: {sed: 1}", "a mapping of seed"),
        ("shuffle: {seed: -1}", "0 or more"),
        ("shuffle: {seed: true}", "0 or more"),
        ("sample: {}", "either rows or share"),
        ("sample: {rows: 3, share: 0.1}", "either rows or share"),
        ("sample: {share: 1.5}", "at most 1"),
        ("split", "parts by name and share"),
        ("split: {}", "at least one part"),
        ("split: {eval: 0.6, test: 0.4}", "below 1 in all"),
        ("split: {../eval: 0.1}", "letters, digits and _"),
        ("split: {eval: 0.1, stratify: colour}", "one of"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(written: str, words: str) -> None:
    with pytest.raises(UsageFault) as fault:
        read_steps("datasets[0].steps", [yaml.safe_load(written)])
    assert str(fault.value).startswith("datasets[0].steps[0]") and words in str(fault.value)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from([*KINDS, "seed", "rows"]), inner), max_leaves=6))  # fmt: skip
def test_anything_is_steps_or_one_usage_fault(value: object) -> None:
    try:
        read_steps("steps", value)
    except UsageFault as fault:
        assert str(fault).startswith("steps")
