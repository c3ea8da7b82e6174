"""The rows of the trainer's dataset in its order, and its packs: llamafactory's own get_dataset against the replay."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.scaffold import TAGS, make_tokenizer
from validators.llamafactory.batches.composition import ABSENT, Kinds, Part, RowKinds, compose
from validators.llamafactory.batches.member import TEXT
from validators.replay.arguments import Arguments

pytestmark = pytest.mark.trainer
ENTRY = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
SIZES = {"one": 23, "two": 9, "three": 14}
MARK = re.compile(r"row (\d+)\.")
RUNS: list[dict[str, Any]] = [
    {"dataset": "one"},
    {"dataset": "one,two,three", "max_samples": 8},
    {"dataset": "one,two,three", "val_size": 0.3, "seed": 3},
    {"dataset": "one,two", "val_size": 5, "seed": 0},
    {"dataset": "one,two,three", "mix_strategy": "interleave_under"},
    {"dataset": "one,two,three", "mix_strategy": "interleave_over", "val_size": 4},
    {"dataset": "two,one", "mix_strategy": "interleave_over", "interleave_probs": "0.3,0.7", "seed": 8},
    {"dataset": "one,two", "packing": True, "cutoff_len": 300, "preprocessing_batch_size": 6},
    {"dataset": "three,one", "packing": True, "neat_packing": True, "cutoff_len": 300},
    {"dataset": "one,two,three", "packing": True, "cutoff_len": 250, "val_size": 0.2, "preprocessing_num_workers": 2},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets of numbered rows of different lengths, some of which are dropped, and a tokenizer."""
    made = tmp_path_factory.mktemp("compositions")
    rng = random.Random(1)
    make_tokenizer(made / "model")
    (made / "model/config.json").write_text(json.dumps({"model_type": "qwen2"}))
    (made / "model/tokenizer_config.json").write_text(
        json.dumps(
            {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
        )
    )
    number, info = 0, {}
    for name, size in SIZES.items():
        rows = []
        for _ in range(size):
            turns = [{"role": "user", "content": "word " * rng.randint(1, 12)}]
            if rng.random() > 0.2:
                turns.append({"role": "assistant", "content": f"row {number}."})
            rows.append({"messages": turns})
            number += 1
        (made / f"{name}.json").write_text(json.dumps(rows))
        info[name] = ENTRY | {"file_name": f"{name}.json"}
    (made / "dataset_info.json").write_text(json.dumps(info))
    return made


@pytest.mark.parametrize("keys", RUNS, ids=str)
def test_sequences_are_the_trainer_s(keys: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sequence's rows, by the numbers that they bear."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    from tests.agreement.oracle import quiet

    quiet()
    monkeypatch.chdir(folder)
    fixed = {"model_name_or_path": "model", "template": "qwen", "dataset_dir": ".", "output_dir": "out", "stage": "sft"}
    fixed |= {"do_train": True, "use_cpu": True, "report_to": "none", "overwrite_cache": True, "cutoff_len": 512}
    fixed |= {"finetuning_type": "lora"}
    model_args, data_args, training_args, *_ = get_train_args(fixed | keys)
    module = load_tokenizer(model_args)
    tokenizer = module["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    made = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)

    def marks(dataset: Any) -> list[list[int]]:
        return [[int(found) for found in MARK.findall(tokenizer.decode(row["input_ids"]))] for row in dataset]

    kinds, datasets, numbers = Kinds(), [], []
    starts = dict(zip(SIZES, (0, 23, 32), strict=True))
    for name in keys["dataset"].split(","):
        rows = json.loads((folder / f"{name}.json").read_text())[: keys.get("max_samples")]
        taken = RowKinds()
        for at, row in enumerate(rows):
            kept = len(row["messages"]) == 2
            numbers.append(starts[name] + at)
            taken.kinds.append(kinds.number(TEXT) if kept else ABSENT)
            taken.tokens.append(length(tokenizer, template, row["messages"]) if kept else 0)
        datasets.append(taken)
    capacity = keys["cutoff_len"] - 1 if keys.get("packing") else 0
    parts = {Part.LEFT: "train_dataset"} | ({Part.HELD_OUT: "eval_dataset"} if "val_size" in keys else {})
    for part, name in parts.items():
        composed = compose(datasets, kinds, Arguments(keys), capacity, part)
        assert not isinstance(composed, str), composed
        truth = marks(made[name])
        found = [[numbers[row] for row in composed.rows_of(sequence)] for sequence in range(len(composed.kinds))]
        assert truth and all(truth) and found == truth
        assert [kinds[int(kind)].rows for kind in composed.kinds] == [len(rows) for rows in truth]


def length(tokenizer: Any, template: Any, messages: list[dict[str, str]]) -> int:
    """Tokens of a row as the trainer encodes it."""
    pairs = template.encode_multiturn(tokenizer, messages, None, None)
    return sum(len(source) + len(target) for source, target in pairs)
