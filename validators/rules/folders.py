"""CFG: the folders that a yaml names, as they stand on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from validators.budgets.text import model_config
from validators.findings import Found
from validators.replay.adapter import Adapter
from validators.replay.adapter_base import find_folder
from validators.replay.arguments import Arguments, exists
from validators.rules.rule import RunView
from validators.rules.yaml_view import arguments_of, in_yaml, is_train

# llamafactory/extras/constants.py: CHECKPOINT_NAMES
CHECKPOINTS = (
    "adapter_model.safetensors", "adapter_model.bin", "model.safetensors.index.json", "model.safetensors",
    "pytorch_model.bin.index.json", "pytorch_model.bin",
)  # fmt: skip
CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")
OLD_FORMATS = {
    "InternVLChatModel": "Please download the internvl models in a Hugging Face–compatible format",
    "LlavaLlamaForCausalLM": "Please download llava models with hf-compatible format",
}
"""model/patcher.py: patch_config."""


def is_local(name: str) -> bool:
    """Whether a name can only be a path: a hub's names are `owner/name`, or one word."""
    first, *rest = name.rstrip("/").split("/")
    return name.startswith(("/", ".", "~")) or len(rest) > 1 or (bool(rest) and os.path.isdir(first))  # noqa: PTH112


def adapters_of(arguments: Arguments) -> Iterator[tuple[str, Adapter]]:
    """The adapters that are named, with their folders (adapter_folder is a folder inside)."""
    inner = arguments["adapter_folder"]
    for name in arguments.names("adapter_name_or_path") if isinstance(arguments["adapter_name_or_path"], str) else ():
        folder = find_folder(name, arguments) or Path(name)
        yield name, Adapter(folder / inner if isinstance(inner, str) else folder)


def adapter_not_found(view: RunView) -> Iterator[Found]:
    """An adapter that is not there, or not whole.

    ## What it finds
    adapter_name_or_path with a path that leads nowhere, or to a folder without adapter_config.json or without weights.

    ## Why it matters
    LLaMA-Factory 0.9.5 loads the whole model first, and stops then (model/adapter.py: PeftModel.from_pretrained).

    ## Bad
    ```yaml train.yaml
    adapter_name_or_path: ./earlier
    ```

    ## Good
    ```yaml train.yaml
    adapter_name_or_path: ./earlier
    ```
    ```json earlier/adapter_config.json
    {"base_model_name_or_path": "model", "peft_type": "LORA"}
    ```
    ```json earlier/adapter_model.safetensors
    {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": [8, 8]}
    ```

    ## Fix
    Name the output_dir of the run that trained it, or one of its checkpoint folders.
    """
    if view.settings.file is None:
        return
    for name, adapter in adapters_of(arguments_of(view)):
        if adapter.whole:
            continue
        wanted = "adapter_config.json and adapter_model.safetensors"
        if adapter.folder.is_dir():
            yield in_yaml(view, "adapter_name_or_path", f"{adapter.folder} holds no adapter", wanted)
        elif is_local(name):
            yield in_yaml(view, "adapter_name_or_path", f"{adapter.folder} is not there", f"a folder with {wanted}")


def model_not_found(view: RunView) -> Iterator[Found]:
    """A local model that is not there.

    ## What it finds
    model_name_or_path with what can only be a path (it starts with / or ., or has more than one slash) and leads
    nowhere. Paths start from the folder in which the trainer is run.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes it for a name on a hub and stops with "Failed to load tokenizer." (model/loader.py:
    load_tokenizer).

    ## Bad
    ```yaml train.yaml
    model_name_or_path: ./models/qwen2-vl
    ```

    ## Good
    ```yaml train.yaml
    model_name_or_path: ./model
    ```

    ## Fix
    Correct the path, or run from the folder that it starts in.
    """
    name = view.settings.model
    if view.settings.file is not None and name is not None and is_local(name) and not exists(name):
        yield in_yaml(view, "model_name_or_path", f"{name} is not there", "a folder, or a name on a hub")


def old_checkpoint_format(view: RunView) -> Iterator[Found]:
    """A model in a format that the trainer refuses.

    ## What it finds
    A model folder whose config.json names InternVLChatModel or LlavaLlamaForCausalLM: the formats of the models' own
    repositories, not the ones of transformers.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops after the data have been prepared: "Please download the internvl models in a Hugging
    Face–compatible format", "Please download llava models with hf-compatible format" (model/patcher.py: patch_config).

    ## Bad
    ```yaml train.yaml
    model_name_or_path: internvl
    template: intern_vl
    ```
    ```json internvl/config.json
    {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat"}
    ```
    ```json internvl/preprocessor_config.json
    {}
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json model/config.json
    {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl"}
    ```

    ## Fix
    Use the converted repository: OpenGVLab/…-hf, llava-hf/….
    """
    model = view.settings.model
    if view.settings.file is None or model is None:
        return
    architectures = model_config(model).get("architectures")
    for name in architectures if isinstance(architectures, list) else ():
        if isinstance(name, str) and name in OLD_FORMATS:
            yield in_yaml(
                view, "model_name_or_path", f'{model} is a {name}: "{OLD_FORMATS[name]}"', "the -hf repository"
            )


def output_over_input(view: RunView) -> Iterator[Found]:
    """An output folder that is one of the inputs.

    ## What it finds
    output_dir that is the model's folder or lies in it, or is the adapter's or the datasets' folder.

    ## Why it matters
    The run writes config, tokenizer, weights and checkpoints there. In a model's folder, an adapter_config.json makes
    later loads take the adapter with the base (transformers 5.6.0, integrations/peft.py), and full training replaces
    the base; from an adapter's own folder no earlier state is left to go back to.

    ## Bad
    ```yaml train.yaml
    output_dir: model
    ```

    ## Good
    ```yaml train.yaml
    output_dir: runs/first
    ```

    ## Fix
    Give the run a folder of its own.
    """
    if not is_train(view):
        return
    arguments = arguments_of(view)
    if not isinstance(arguments["output_dir"], str) or not arguments["output_dir"]:
        return
    out = Path(arguments["output_dir"]).expanduser().resolve()
    inputs = [("dataset_dir", str(view.settings.dataset_dir), False)]
    inputs += [("adapter_name_or_path", str(adapter.folder), False) for _, adapter in adapters_of(arguments)]
    if view.settings.model is not None:
        inputs.append(("model_name_or_path", view.settings.model, True))
    for key, name, whole in inputs:
        folder = Path(name).resolve()
        if Path(name).is_dir() and (out == folder or (whole and folder in out.parents)):
            found = f"output_dir {arguments['output_dir']} is {'in ' if out != folder else ''}{key} {name}"
            yield in_yaml(view, "output_dir", found, "a folder of its own")


def output_not_empty(view: RunView) -> Iterator[Found]:
    """An output folder that holds a finished run.

    ## What it finds
    output_dir with weights and no checkpoint folder, without overwrite_output_dir: true.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops: "Output directory already exists and is not empty. Please set `overwrite_output_dir`."
    (hparams/parser.py: get_train_args).

    ## Bad
    ```yaml train.yaml
    output_dir: out
    ```
    ```json out/adapter_model.safetensors
    {}
    ```

    ## Good
    ```yaml train.yaml
    output_dir: out
    overwrite_output_dir: true
    ```
    ```json out/adapter_model.safetensors
    {}
    ```

    ## Fix
    Give the run another folder, or set overwrite_output_dir: true.
    """
    out = earlier_run(view)
    if out is not None and last_checkpoint(out) is None:
        held = [name for name in CHECKPOINTS if (out / name).is_file()]
        if held:
            words = "Output directory already exists and is not empty. Please set `overwrite_output_dir`."
            yield in_yaml(view, "output_dir", f'{out} holds {held[0]}: "{words}"', "an empty folder")


def earlier_run_resumed(view: RunView) -> Iterator[Found]:
    """An output folder from whose last checkpoint the run goes on.

    ## What it finds
    output_dir with checkpoint folders, without overwrite_output_dir: true or resume_from_checkpoint.

    ## Why it matters
    LLaMA-Factory 0.9.5 resumes from the last one without being asked (hparams/parser.py: get_train_args). Where that
    run was finished, this one trains no step; where the data have changed, it goes on in the middle of them.

    ## Bad
    ```yaml train.yaml
    output_dir: out
    ```
    ```json out/checkpoint-500/trainer_state.json
    {"global_step": 500}
    ```

    ## Good
    ```yaml train.yaml
    output_dir: out
    resume_from_checkpoint: out/checkpoint-500
    ```
    ```json out/checkpoint-500/trainer_state.json
    {"global_step": 500}
    ```

    ## Fix
    Say so with resume_from_checkpoint, or start anew with overwrite_output_dir: true or another folder.
    """
    out = earlier_run(view)
    checkpoint = last_checkpoint(out) if out is not None else None
    if checkpoint is not None:
        yield in_yaml(view, "output_dir", f"the run goes on from {checkpoint}", "an empty folder for a new run")


def earlier_run(view: RunView) -> Path | None:
    """The output folder, where the trainer looks for an earlier run in it."""
    if not is_train(view):
        return None
    arguments = arguments_of(view)
    value = arguments["output_dir"]
    settled = arguments.on("overwrite_output_dir") or arguments.given("resume_from_checkpoint")
    restarts = arguments.among("stage", "rm", "ppo") and arguments.among("finetuning_type", "full", "freeze")
    if settled or restarts or not arguments.on("do_train") or not isinstance(value, str):
        return None
    out = Path(value).expanduser()
    return out if out.is_dir() else None


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint folder with the highest number (transformers 5.6.0, trainer_utils.py: get_last_checkpoint)."""
    numbers = {
        int(match[1]): path for path in folder.iterdir() if (match := CHECKPOINT.match(path.name)) and path.is_dir()
    }
    return numbers[max(numbers)] if numbers else None


SECRETS = ("hf_hub_token", "ms_hub_token", "om_hub_token", "hub_token", "swanlab_api_key", "swanlab_lark_secret")


def secret_in_yaml(view: RunView) -> Iterator[Found]:
    """A token or key written into the yaml.

    ## What it finds
    hf_hub_token, ms_hub_token, om_hub_token, hub_token, swanlab_api_key or swanlab_lark_secret with a value.

    ## Why it matters
    Yamls are committed, shared and logged with the run; whoever reads one can then write to the account.

    ## Bad
    ```yaml train.yaml
    hf_hub_token: hf_not_a_real_token
    ```

    ## Good
    ```yaml train.yaml
    report_to: none
    ```

    ## Fix
    Remove it and log in: `hf auth login` or the variable HF_TOKEN; for a token that was shared, revoke it.
    """
    if view.settings.file is None:
        return
    for key in SECRETS:
        value = view.settings.raw.get(key)
        if isinstance(value, str) and value.strip() and not value.startswith("${"):
            yield in_yaml(view, key, f"{key} holds {len(value)} characters in plain text", "no secret in a file")
