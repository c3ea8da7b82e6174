"""The tiny MiniCPM of the demo, loaded as the trainer loads it: MiniCPM's marks typed in texts, and its own chat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.compare import Arena
from tests.agreement.faults import TEXTS
from tests.agreement.media_factory import make_stock
from tests.agreement.oracle import Family
from tests.agreement.real_minicpm import disagreements, literal_rows, loaded_family

pytestmark = [pytest.mark.trainer, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    from train.tiny import make_tiny

    folder = tmp_path_factory.mktemp("tiny")
    messages = [{"role": "user", "content": text} for text in TEXTS]
    (folder / "text.json").write_text(json.dumps([{"messages": messages}]))
    make_tiny(folder / "model", [folder / "text.json"], family="minicpm_v_4_5")
    return loaded_family(folder / "model")


def test_marks_typed_in_texts_end_as_predicted(family: Family, tmp_path: Path) -> None:
    """Each mark and pair of marks, empty and filled, in every role, beside an image and without."""
    arena = Arena(make_stock(tmp_path / "media", 11, small=True), tmp_path)
    arena.families["v-4.5"] = family
    found, rows = disagreements(arena, literal_rows(arena.stock))
    assert rows >= 80
    assert not found, "\n".join(found)


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
