"""The tiny MiniCPM models of the demo, loaded as the trainer loads them: rows of every kind, and their own chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest

from tests.agreement.compare import Arena, account
from tests.agreement.faults import TEXTS
from tests.agreement.media_factory import make_stock
from tests.agreement.minicpm_rows import Group, run_groups, sound_groups, table, vision_groups
from tests.agreement.oracle import Family, quiet
from tests.agreement.real_minicpm import loaded_family
from validators.model import Outcome

pytestmark = [pytest.mark.trainer, pytest.mark.usefixtures("one_thread")]
EVERY = 3


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """The demo's MiniCPM-V 4.5 and MiniCPM-o 2.6."""
    from train.tiny import make_tiny

    folder = tmp_path_factory.mktemp("tiny")
    quiet()
    messages = [{"role": "user", "content": text} for text in TEXTS]
    (folder / "text.json").write_text(json.dumps([{"messages": messages}]))
    arena = Arena(make_stock(folder / "media", 11, small=True), folder)
    for name, tiny, template in (("v-4.5", "minicpm_v_4_5", "minicpm_v"), ("o-2.6", "minicpm_o_2_6", "minicpm_o")):
        make_tiny(folder / tiny, [folder / "text.json"], family=tiny)
        arena.families[name] = loaded_family(folder / tiny, name, template)
    return arena


@pytest.fixture(scope="module")
def family(arena: Arena) -> Family:
    return arena.families["v-4.5"]


@pytest.mark.parametrize(("name", "groups"), [("v-4.5", vision_groups), ("o-2.6", sound_groups)])
def test_rows_end_as_predicted(name: str, groups: Callable[[Arena, str, int], Iterator[Group]], arena: Arena) -> None:
    """Of each kind some rows: one of three, another choice of them than of the published code."""
    verdicts = [*chain.from_iterable(run_groups(arena, name, groups(arena, name, 3), EVERY))]
    assert len(verdicts) >= 70
    assert all(verdict.agrees for verdict in verdicts), f"{table(verdicts)}\n{account(verdicts)}"
    ends = {verdict.truth.outcome for verdict in verdicts}
    assert {Outcome.TRAINED, Outcome.TRUNCATED, Outcome.CRASH_STEP} <= ends


def test_the_model_answers_through_its_own_chat(family: Family) -> None:
    """A text, a sliced image, and frames in packs; the same question has the same answer."""
    from PIL import Image

    picture = Image.new("RGB", (900, 600), (200, 30, 30))
    frames: dict[str, Any] = {"max_slice_nums": 1, "use_image_id": False, "temporal_ids": [[[0, 1], [2]]]}
    model = family.model.eval()
    for content, more in ((["What is it?"], {}), ([picture, "What is it?"], {}), ([picture] * 3 + ["What?"], frames)):
        asked = {"msgs": [{"role": "user", "content": content}], "processor": family.processor} | more
        answers = {model.chat(**asked, max_new_tokens=4, sampling=False) for _ in range(2)}
        assert len(answers) == 1 and isinstance(answers.pop(), str)


def test_the_folder_names_its_classes_as_the_published_one_does(family: Family) -> None:
    config = json.loads((family.folder / "config.json").read_text())
    assert (config["model_type"], config["version"]) == ("minicpmv", 4.5)
    assert {"AutoConfig", "AutoModel", "AutoModelForCausalLM"} == config["auto_map"].keys()
    tokenizer = json.loads((family.folder / "tokenizer_config.json").read_text())
    assert tokenizer["auto_map"]["AutoTokenizer"][1] is None
    assert family.model.resampler.pos_embed.isfinite().all()
    assert "resampler.pos_embed" not in family.model.state_dict()
