"""Literal tables about arguments, models and versions hold for the installed packages."""

from __future__ import annotations

import re
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from validators.budgets.models import find_model, known_models
from validators.budgets.templates import find_template
from validators.llamafactory.environment.families import MODEL_TYPES
from validators.replay.arguments import Arguments
from validators.rules.folders import CHECKPOINTS, OLD_FORMATS
from validators.rules.model import BROKEN, CONVOLVING
from validators.rules.schedule import most_steps, validation_rows

pytestmark = pytest.mark.trainer
# wholes of which LLaMA-Factory registers the thinking part, and models that it leaves to its general rule
WHOLES = {"qwen2_5_omni", "qwen3_omni_moe", "lfm2_vl", "youtu_vl", "ernie4_5_moe_vl", "ernie4_5_vl_moe"}
PARTS = {"qwen2_5_omni_thinker", "qwen3_omni_moe_thinker"}


def source_of(package: str) -> Path:
    """The folder of the package that is imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def test_model_types_and_their_templates_are_the_installed_ones() -> None:
    """Each composite model has its templates here, and each template takes media."""
    from llamafactory.model.model_utils.visual import COMPOSITE_MODELS

    assert set(COMPOSITE_MODELS) - PARTS == set(MODEL_TYPES) - WHOLES
    for names in MODEL_TYPES.values():
        templates = [find_template(name) for name in names]
        assert all(template is not None and template.takes_media for template in templates), names


def test_listed_models_have_the_templates_that_the_trainer_registers() -> None:
    """By hub name; the table is generated, its reading is not."""
    from llamafactory.extras.constants import DEFAULT_TEMPLATE, SUPPORTED_MODELS

    for name, sources in SUPPORTED_MODELS.items():
        for path in sources.values():
            known = find_model(path)
            assert known is not None
            assert not DEFAULT_TEMPLATE.get(name) or DEFAULT_TEMPLATE[name] in known.templates
    assert len(known_models()) > 600


def test_models_that_convolve_in_three_dimensions() -> None:
    """Model types with a Conv3d in transformers are those that torch 2.9 breaks."""
    folders = {name: source_of("transformers") / "models" / name for name in MODEL_TYPES}
    found = {
        name
        for name, folder in folders.items()
        for file in folder.glob("modeling_*.py")
        if "nn.Conv3d(" in file.read_text(encoding="utf-8")
    }
    assert found == {name for name in CONVOLVING if folders[name].is_dir()}


def test_words_and_names_stand_in_the_trainer_s_sources() -> None:
    """What rules quote of loading and exporting."""
    from llamafactory.extras.constants import CHECKPOINT_NAMES

    assert set(CHECKPOINTS) == set(CHECKPOINT_NAMES)
    trainer = source_of("llamafactory")
    sources = [*(trainer / "model").rglob("*.py"), trainer / "train" / "tuner.py"]
    text = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in sources))
    quoted = [*OLD_FORMATS.values(), *(broken.words for broken in BROKEN)]
    quoted += ["Please merge adapters before quantizing the model.", "Cannot merge adapters to a quantized model."]
    assert [words for words in quoted if words not in text] == []
    assert 'check_version("transformers>=4.45.0,<4.48.0", mandatory=True)' in text


def test_numbers_that_libraries_refuse() -> None:
    """A few of the least values, one below them, in the library that is named."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from torch import nn
    from torch.utils.data import DataLoader

    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="positive integer"):
        get_peft_model(model, LoraConfig(r=0, target_modules=["0"]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size"):
        DataLoader(range(3), batch_size=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_proc"):
        Dataset.from_dict({"a": [1, 2]}).map(lambda row: row, num_proc=0)
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.5)


def test_val_size_leaves_rows_as_datasets_leaves_them() -> None:
    """For sizes and row counts about the edges, the real split fails where nothing would be left."""
    from datasets import Dataset

    for rows in (1, 2, 3, 10):
        dataset = Dataset.from_dict({"a": list(range(rows))})
        for size in (1e-3, 0.1, 0.5, 0.9, 0.95, 0.99, 1, 2, 3, 9, 10, 11, 2.5):
            try:
                wanted: Any = int(size) if size > 1 else size
                real = len(dataset.train_test_split(test_size=wanted, seed=1)["test"])
            except ValueError:
                real = rows
            mine = validation_rows(size, rows)
            assert min(mine, rows) == real, (rows, size)


def test_steps_are_counted_as_the_trainer_counts() -> None:
    """The real set_initial_training_values over a real DataLoader."""
    from torch.utils.data import DataLoader
    from transformers import Trainer

    plans = ((1, 1, 3.0, -1), (4, 2, 1, -1), (8, 3, 0.5, -1), (2, 8, 3, 5), (2, 2, 3, 0))
    for rows in (1, 7, 32):
        for batch, accumulated, epochs, limit in plans:
            loader = DataLoader(range(rows), batch_size=batch)  # type: ignore[arg-type]
            settings = {
                "per_device_train_batch_size": batch,
                "gradient_accumulation_steps": accumulated,
                "num_train_epochs": epochs,
                "max_steps": limit,
            }
            trainer = SimpleNamespace(
                get_total_train_batch_size=lambda args: 1, get_sp_size=lambda: 1, num_examples=lambda loader: 1
            )
            # transformers 4 is told the size of a whole batch, which only token counts need
            last = (1,) if "total_train_batch_size" in signature(Trainer.set_initial_training_values).parameters else ()
            real = Trainer.set_initial_training_values(trainer, SimpleNamespace(**settings), loader, *last)  # type: ignore[arg-type]
            assert most_steps(Arguments(settings), rows) == real[-1], (rows, settings)
