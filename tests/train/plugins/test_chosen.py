"""Which runs take the plugin that repairs MiniCPM's collation."""

from __future__ import annotations

import pytest

from train.plugins.chosen import plugins_of
from validators.settings import COLLATION, FORK_KEYS

MINICPM = {"template": "minicpm_v", "do_train": True}


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, True),  # eight rows a batch where the yaml does not say
        ({"per_device_train_batch_size": 2}, True),
        ({"per_device_train_batch_size": 1}, False),
        ({"per_device_train_batch_size": 1, "packing": True}, True),
        ({"per_device_train_batch_size": 1, "eval_strategy": "steps"}, True),
        ({"per_device_train_batch_size": 1, "eval_strategy": "steps", "per_device_eval_batch_size": 1}, False),
        ({"template": "minicpm_o"}, True),
        ({"template": "minicpm_v_4_6"}, False),
        ({"template": "qwen2_vl"}, False),
        ({"template": None}, False),
    ],
    ids=str,
)
def test_where_several_rows_share_a_batch(keys: dict[str, object], wanted: bool) -> None:
    assert ("minicpm_collation" in plugins_of(MINICPM | keys, frozenset(FORK_KEYS))) is wanted


def test_it_is_registered_behind_the_one_that_it_stands_on() -> None:
    chosen = plugins_of(MINICPM | {"enable_high_fps": True}, frozenset())
    assert chosen.index("minicpm_high_fps") < chosen.index("minicpm_collation")
    assert COLLATION == "train.plugins.minicpm_collation"
