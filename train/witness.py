"""What the installed llamafactory does with chosen rows, one at a time: `python -m train.witness REQUEST ANSWER`.

Loader, converter, template, plugin, processor and collator are the trainer's own; the model is not loaded. REQUEST is
JSON: `yaml`, `rows` ({dataset: [row, …]}). ANSWER gets one JSON line a row: dataset, row, outcome, tokens, supervised,
error; or one line with an error where a whole dataset does not load. Alterations are not told: only a viewer sees them.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from train.trainer import unknown_fork_keys
from validators.model import MediaKind, Outcome
from validators.settings import FORK_KEYS, read_yaml

IGNORE_INDEX = -100
TAGS = re.compile("|".join(kind.tag for kind in MediaKind))
Pair = tuple[list[int], list[int]]
"""Token ids of a question and of its answer."""
Convert = Callable[[Mapping[str, Any]], dict[str, Any]]


class Witness:
    """The trainer's parts for one train yaml."""

    def __init__(self, settings: Mapping[str, object], scratch: str) -> None:
        from llamafactory.data import get_template_and_fix_tokenizer
        from llamafactory.data.collator import MultiModalDataCollatorForSeq2Seq
        from llamafactory.data.processor import SupervisedDatasetProcessor
        from llamafactory.hparams import get_train_args
        from llamafactory.model import load_tokenizer

        arguments = get_train_args(judging_settings(settings, scratch))
        self.model_args, self.data_args, self.training_args = arguments[:3]
        module = load_tokenizer(self.model_args)
        self.tokenizer, processor = module["tokenizer"], module["processor"]
        self.template = get_template_and_fix_tokenizer(self.tokenizer, self.data_args)
        self.supervise = SupervisedDatasetProcessor(self.template, self.tokenizer, processor, self.data_args)
        self.collate = MultiModalDataCollatorForSeq2Seq(
            template=self.template, processor=processor, tokenizer=self.tokenizer, label_pad_token_id=IGNORE_INDEX
        )
        plugin = self.template.mm_plugin
        named = [getattr(plugin, f"{kind}_token") for kind in ("image", "video", "audio")]
        # MiniCPM's collator pairs marks and is asked itself; the other models count tokens against features
        counts = all(cls.__name__ != "MiniCPMVPlugin" for cls in type(plugin).__mro__)
        self.features = {self.tokenizer.convert_tokens_to_ids(token) for token in named if token and counts} - {None}
        self.encoded: list[Pair] = []
        encode = self.template.encode_multiturn

        def recorded(*values: object, **named_values: object) -> list[Pair]:
            self.encoded = encode(*values, **named_values)
            return self.encoded

        self.template.encode_multiturn = recorded

    def rows(self, name: str) -> tuple[Any, Convert]:
        """A dataset as it is loaded, before any row is converted, and the converter of its formatting."""
        from llamafactory.data import loader
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.parser import get_dataset_list

        (attributes,) = get_dataset_list([name], self.data_args.dataset_dir)
        # the loader ends with a conversion of all rows, which would stop at the first bad one
        align = loader.align_dataset
        loader.align_dataset = lambda dataset, *_: dataset
        try:
            dataset = loader._load_single_dataset(attributes, self.model_args, self.data_args, self.training_args)
        finally:
            loader.align_dataset = align
        return dataset, get_dataset_converter(attributes.formatting, attributes, self.data_args)

    def judge(self, example: Mapping[str, Any], convert: Convert) -> dict[str, object]:
        """One row's outcome, tokens and supervised tokens."""
        try:
            row = convert(example)
            kept = self.supervise.preprocess_dataset({key: [value] for key, value in row.items()})
        except Exception as error:
            return {"outcome": Outcome.CRASH_LOAD, "error": said(error)}
        if not kept["input_ids"]:
            return {"outcome": Outcome.DROPPED}
        tokens, labels = kept["input_ids"][0], kept["labels"][0]
        found: dict[str, object] = {
            "tokens": len(tokens),
            "supervised": sum(label != IGNORE_INDEX for label in labels),
        }
        whole = [token for pair in self.encoded for part in pair for token in part]
        lead = len(tokens) - len(whole) - self.template.efficient_eos
        cut = lead < 0
        try:
            self.collate([copy.deepcopy({key: value[0] for key, value in kept.items()})])
            places, features = self.count(tokens), self.count(whole) - self.written(row)
            if places != features:
                raise ValueError(f"{places} tokens for {features} features")
        except Exception as error:
            return found | {"outcome": Outcome.CRASH_STEP, "error": said(error)}
        return found | {"outcome": Outcome.TRUNCATED if cut else Outcome.TRAINED}

    def written(self, row: Mapping[str, Any]) -> int:
        """Feature tokens that the row's own texts hold, its placeholders left out."""
        texts = [message["content"] for message in row["_prompt"] + row["_response"]] + [row["_system"] or ""]
        return sum(self.count(self.tokenizer.encode(TAGS.sub("", text), add_special_tokens=False)) for text in texts)

    def count(self, tokens: list[int]) -> int:
        """Feature tokens among these."""
        return sum(token in self.features for token in tokens)


def judging_settings(settings: Mapping[str, object], scratch: str) -> dict[str, object]:
    """The yaml's keys about data and model, under which rows are prepared the same; a run's own are left out, so that
    rows can be judged on a machine without the run's accelerators."""
    from llamafactory.hparams import DataArguments, ModelArguments

    known = {field.name for cls in (DataArguments, ModelArguments) for field in dataclasses.fields(cls) if field.init}
    if unknown_fork_keys(settings):
        from train.plugins.minicpm_high_fps import register

        register()
        known |= {*FORK_KEYS}
    kept = {key: value for key, value in settings.items() if key in known and key not in ("flash_attn", "streaming")}
    kept |= {"preprocessing_num_workers": None, "overwrite_cache": True, "val_size": 0.0, "eval_dataset": None}
    fixed = {"stage": "sft", "do_train": True, "finetuning_type": "lora", "use_cpu": True, "report_to": "none"}
    return {key: value for key, value in (kept | fixed | {"output_dir": scratch}).items() if value is not None}


def answers(request: Mapping[str, Any], scratch: str) -> Iterator[dict[str, object]]:
    """A record for each row asked for."""
    witness = Witness(read_yaml(Path(request["yaml"])), scratch)
    for name, rows in request["rows"].items():
        try:
            dataset, convert = witness.rows(name)
        except Exception as error:
            yield {"dataset": name, "outcome": Outcome.CRASH_LOAD, "error": said(error)}
            continue
        for row in rows:
            if row < len(dataset):
                yield {"dataset": name, "row": row} | witness.judge(dataset[row], convert)


def said(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def main() -> int:
    """Answer a request."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch, Path(sys.argv[2]).open("w", encoding="utf-8") as out:
        for answer in answers(request, scratch):
            out.write(json.dumps(answer) + "\n")
            out.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
