"""CFG: the train yaml against what the trainer accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from validators.budgets.templates import find_template, template_names
from validators.findings import Found, Place
from validators.llamafactory.environment.choose import environment_words
from validators.llamafactory.keys import trainer_keys, who_takes
from validators.replay.refusals import Group
from validators.rules.rule import DatasetView, RunView
from validators.rules.yaml_view import arguments_of, in_yaml, is_train, kind_of, refused, trains
from validators.settings import FORK_KEYS, coerce, trainer_version

# Without either, transformers 5.6.0's AutoProcessor finds no processor (models/auto/processing_auto.py)
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


def no_dataset(view: RunView) -> Iterator[Found]:
    """A train yaml that names no dataset.

    ## What it finds
    No `dataset:` (or an empty one) in a yaml with do_train: true.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Please specify dataset for training." (hparams/parser.py: get_train_args).

    ## Bad
    ```yaml train.yaml
    dataset:
    ```

    ## Good
    ```yaml train.yaml
    dataset: data
    ```

    ## Fix
    Name a dataset of dataset_info.json.
    """
    if is_train(view) and not view.settings.datasets and arguments_of(view).on("do_train"):
        yield in_yaml(view, "dataset", "no dataset named", "a name that dataset_info.json registers")


def processor_missing(view: DatasetView) -> Iterator[Found]:
    """A template for media over a model without a processor.

    ## What it finds
    A local model folder with neither preprocessor_config.json nor processor_config.json, such as that of a language
    model, or one from which the file was not copied, under a template that takes media.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops at the first row, text alone or not: "Processor was not found, please check and update
    your model file." (data/mm_plugin.py: _validate_input).

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    model_name_or_path: words
    ```
    ```json words/config.json
    {"model_type": "qwen2"}
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    model_name_or_path: model
    ```

    ## Fix
    Copy the file from the model's page, or name the template that belongs to a language model.
    """
    run, model = view.run, view.run.settings.model
    folder = Path(model) if model is not None else None
    if run.template is None or not run.template.takes_media or folder is None or not folder.is_dir():
        return  # a hub's snapshot may hold a part only: the trainer fetches the rest
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        found = f"no {' or '.join(PROCESSOR_FILES)} in {folder}"
        expected = f"a model with a processor, for template {run.template.name}"
        yield Found(Place(None, "model_name_or_path"), found, expected, file=run.settings.file or "command line")


def unknown_key(view: RunView) -> Iterator[Found]:
    """A key that the trainer does not know.

    ## What it finds
    A top-level key of the yaml that is no field of LLaMA-Factory's arguments with the transformers that the run will
    use: transformers 5 took 25 keys away that 4.57.1 has, among them group_by_length and save_safetensors.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Some keys are not used by the HfArgumentParser" (hparams/parser.py), after the
    imports, which take most of a minute.

    ## Bad
    ```yaml train.yaml
    cutof_len: 4096
    ```

    ## Good
    ```yaml train.yaml
    cutoff_len: 4096
    ```

    ## Fix
    Correct the spelling, or remove the key.
    """
    trainer, is_training = view.settings.trainer, trains(view.settings)
    known = trainer_keys(trainer, is_training)
    for key in view.settings.raw:
        if key in known or key in FORK_KEYS:
            continue
        others = who_takes(key, is_training)
        if others:
            there = environment_words(view.settings.environment, trainer)
            found = f"{key}: taken by {others[-1].words()}, not by {there}"
            yield in_yaml(view, key, found, f"an argument of {trainer.words()}", REPLACED.get(key, "remove it"))
            continue
        nearest = get_close_matches(key, list(known), n=1, cutoff=0.6)
        cure = f"did you mean {nearest[0]!r}?" if nearest else "remove it"
        yield in_yaml(view, key, f"unknown key {key!r}", f"an argument of {trainer.words()}", cure)


# transformers 5.5.4, training_args.py: what does the work of keys that transformers 4 had, and the other way round
REPLACED: Mapping[str, str] = {
    "group_by_length": "train_sampling_strategy: group_by_length",
    "train_sampling_strategy": "group_by_length: true, for lengths of a kind in one batch",
    "no_cuda": "use_cpu: true",
    "save_safetensors": "remove it: safetensors are what is saved",
    "adafactor": "optim: adafactor",
    "push_to_hub_token": "hub_token",
    "push_to_hub_model_id": "hub_model_id",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "torchdynamo": "torch_compile_backend",
}
LIKE: Mapping[str, object] = {"bool": False, "int": 0, "float": 0.0, "str": None}
WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
SPLIT = frozenset([
    "dataset", "eval_dataset", "interleave_probs", "freeze_trainable_modules", "freeze_extra_modules", "lora_target",
    "oft_target", "additional_target", "galore_target", "apollo_target",
])  # fmt: skip
"""Text that may as well be a list (hparams/data_args.py and finetuning_args.py: split_arg)."""
LABELS = frozenset(["run_name", "project", "master_port", "model_revision", "swanlab_project", "swanlab_run_name"])
"""Text that is only passed on: a number does no harm."""


def wrong_value_type(view: RunView) -> Iterator[Found]:
    """A value of the wrong type.

    ## What it finds
    Text, a list, a boolean or nothing where a number is wanted, a number or text where true or false is, a number or a
    list where text is: for every key whose type the trainer declares.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes the value as it is and fails later, in a comparison (HfArgumentParser.parse_dict does
    not convert), or takes any text for true: `packing: "false"` packs.

    ## Bad
    ```yaml train.yaml
    cutoff_len: 4k
    ```

    ## Good
    ```yaml train.yaml
    cutoff_len: 4096
    ```

    ## Fix
    Write a plain number, true or false, or text, without quotes around what is no text.
    """
    if view.settings.file is None:
        return
    for key, value in view.settings.raw.items():
        kind = kind_of(view, key)
        if kind is None or kind.choices or len(kind.types) != 1 or kind.types[0] not in LIKE:
            continue
        wanted = kind.types[0]
        if value is None:
            wrong = wanted in ("int", "float") and not kind.null
        elif wanted == "str" and ((key in SPLIT and isinstance(value, list)) or key in LABELS):
            wrong = False
        else:
            wrong = coerce(value, LIKE[wanted]) is None
        if wrong:
            yield in_yaml(view, key, f"{key} is {value!r}" if value is not None else f"{key} is empty", WORDS[wanted])


def unknown_template(view: RunView) -> Iterator[Found]:
    """A template that the trainer does not have.

    ## What it finds
    `template:` (or `--template`) with a name that LLaMA-Factory does not register.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Template … does not exist." (data/template.py).

    ## Bad
    ```yaml train.yaml
    template: minicpmv
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```

    ## Fix
    Use the name that LLaMA-Factory's model table gives for the model.
    """
    name = view.settings.template
    if name is not None and find_template(name) is None:
        nearest = get_close_matches(name, template_names(), n=3, cutoff=0.5)
        yield in_yaml(
            view,
            "template",
            f"template {name!r} does not exist",
            f"a template of LLaMA-Factory {trainer_version()}",
            f"did you mean {', '.join(nearest)}?" if nearest else "",
        )


def conflicting_settings(view: RunView) -> Iterator[Found]:
    """Two settings of the data that exclude each other.

    ## What it finds
    mask_history with train_on_prompt, train_on_prompt under a template that ends rows with one end token, val_size
    with eval_dataset or without a dataset, streaming with max_samples or with a part as val_size, interleave_probs with
    mix_strategy concat or of another length than the list of datasets, streaming with a tokenized_path to be written.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/data_args.py: __post_init__; data/template.py:
    get_template_and_fix_tokenizer; data/loader.py: get_dataset), after the imports.

    ## Bad
    ```yaml train.yaml
    mask_history: true
    train_on_prompt: true
    ```

    ## Good
    ```yaml train.yaml
    mask_history: true
    ```

    ## Fix
    Remove one of the two.
    """
    yield from refused(view, Group.DATA)
    raw, settings, template = view.settings.raw, view.settings, view.template
    if settings.train_on_prompt and template is not None and template.efficient_eos:
        found = (
            f'train_on_prompt under template {template.name}: "Current template does not support `train_on_prompt`."'
        )
        yield in_yaml(view, "train_on_prompt", found, "false")
    path = raw.get("tokenized_path")
    if (
        raw.get("streaming") is True
        and isinstance(path, str)
        and not (Path(path).is_dir() and any(Path(path).iterdir()))
    ):
        found = f'tokenized_path: {path} with streaming: "Turn off `streaming` when saving dataset to disk."'
        yield in_yaml(view, "tokenized_path", found, "one of the two, where nothing is saved yet")


def stage_not_replayed(view: RunView) -> Iterator[Found]:
    """A training stage whose rows are prepared in another way.

    ## What it finds
    A `stage` other than sft.

    ## Why it matters
    Outcomes and token counts are those of supervised fine-tuning (data/processor/supervised.py). The other stages
    have processors of their own; what is said of files, tags and roles holds for them, what is said of lengths does
    not.

    ## Bad
    ```yaml train.yaml
    stage: kto
    ```

    ## Good
    ```yaml train.yaml
    stage: sft
    ```

    ## Fix
    None is needed.
    """
    stage = view.settings.raw.get("stage", "sft")
    if is_train(view) and stage != "sft":
        yield in_yaml(view, "stage", f"stage {stage!r}", "sft, for which rows are replayed")
