"""CFG: the yaml's keys against one another, as the trainer checks them before it loads anything."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from validators.findings import Found
from validators.llamafactory.environment.store import variables_of
from validators.probes import installed
from validators.replay.arguments import Arguments, exists
from validators.replay.refusals import Group
from validators.replay.requirements import (
    BITSANDBYTES,
    DEMANDS,
    EXPORT_QUANTIZER,
    FLASH,
    LOGGERS,
    QUANTIZERS,
    TRAINER_BOUNDS,
)
from validators.rules.rule import RunView
from validators.rules.yaml_view import arguments_of, in_yaml, is_train, kind_of, refused
from validators.settings import trainer_version

PATHS = ("deepspeed", "new_special_tokens_config", "resume_from_checkpoint")
MOST_64, MOST_U64, MOST_U32 = (1 << 63) - 1, (1 << 64) - 1, (1 << 32) - 1
RANGES: Mapping[str, tuple[float, float, str]] = {
    "lora_rank": (1, MOST_64, "PEFT refuses it"),
    "learning_rate": (0, math.inf, "torch's optimizers refuse it"),
    "per_device_train_batch_size": (1, MOST_64, "torch's DataLoader refuses it"),
    "per_device_eval_batch_size": (1, MOST_64, "torch's DataLoader refuses it"),
    "gradient_accumulation_steps": (1, math.inf, "steps are counted in parts of it"),
    "preprocessing_num_workers": (1, math.inf, "datasets refuses it"),
    "preprocessing_batch_size": (-math.inf, MOST_64, "datasets refuses it"),
    "dataloader_num_workers": (0, 1 << 22, "torch's DataLoader cannot start so many processes"),
    "num_train_epochs": (-math.inf, 1e300, "no number of steps comes of it"),
    "seed": (0, MOST_U32, "numpy refuses it"),
    "data_seed": (-MOST_64 - 1, MOST_U64, "torch refuses it"),
    "video_maxlen": (1, math.inf, "no frame is taken"),
    "audio_sampling_rate": (1, math.inf, "no sound is left"),
    "image_max_pixels": (1, math.inf, "images are resized to nothing"),
    "video_max_pixels": (1, math.inf, "frames are resized to nothing"),
}
"""The least and the most of a number, and what becomes of others. transformers 4.57.1, trainer.py: steps of
the epochs; torch 2.11, utils/data/dataloader.py and random.py; numpy 2, random/_legacy_seeding; datasets 4.0.0."""


def missing_companion(view: RunView) -> Iterator[Found]:
    """A setting without the one that it needs.

    ## What it finds
    No model_name_or_path; evaluation without eval_dataset or val_size; streaming without max_steps; do_predict without
    predict_with_generate; PPO without reward_model; export_quantization_bit without export_quantization_dataset;
    dataloader_prefetch_factor without workers.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/parser.py: get_train_args; hparams/model_args.py;
    transformers 5.6.0, training_args.py: _validate_args), after the imports.

    ## Bad
    ```yaml train.yaml
    eval_strategy: epoch
    ```

    ## Good
    ```yaml train.yaml
    eval_strategy: epoch
    val_size: 0.5
    ```

    ## Fix
    Add the setting that is named, or remove the one that needs it.
    """
    for found in refused(view, Group.MISSING):
        if found.place.path != "model_name_or_path" or view.settings.model is None:
            yield found


def missing_package(view: RunView) -> Iterator[Found]:
    """A setting whose package is not installed beside the trainer.

    ## What it finds
    Keys such as use_galore, enable_liger_kernel, use_unsloth, deepspeed, plot_loss, quantization_bit,
    export_quantization_bit, optim and report_to that need a package which is not installed, or not in that version.
    Where no llamafactory is installed beside mmcurate, nothing is known and nothing is said.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops at start (hparams/parser.py: _check_extra_dependencies), or when the model or the trainer
    is made (model/model_utils/quantization.py; transformers 5.6.0, integrations/integration_utils.py).

    ## Bad
    ```yaml train.yaml
    enable_liger_kernel: true
    ```
    ```text environment
    llamafactory 0.9.5
    ```

    ## Good
    ```yaml train.yaml
    enable_liger_kernel: true
    ```
    ```text environment
    llamafactory 0.9.5, liger-kernel 0.6.2
    ```

    ## Fix
    Install the package, or remove the key.
    """
    if view.settings.file is None or view.version_of("llamafactory") is None:
        return
    arguments = arguments_of(view)
    for key, requirement in demands(arguments):
        name, _, bounds = partition(requirement)
        version = view.version_of(name)
        if version is None or not installed.accepted(version, bounds):
            state = f"{name} is {version}" if version else f"{name} is not installed"
            yield in_yaml(view, key, f"{arguments.shown(key)}; {state}", requirement, f"pip install '{requirement}'")
    for name in arguments.names("report_to") if is_train(view) else ():
        packages = LOGGERS.get(name, ())
        if packages and not any(view.version_of(package) for package in packages):
            cure = f"pip install {packages[0]}, or report_to: none"
            yield in_yaml(view, "report_to", f"report_to: {name}; {packages[0]} is not installed", packages[0], cure)


def demands(arguments: Arguments) -> Iterator[tuple[str, str]]:
    """Keys that are on, with the requirements that they bring."""
    for key, requirements in DEMANDS.items():
        for requirement in requirements if arguments.takes(key) and arguments.on(key) else ():
            yield key, requirement
    if arguments.takes("half_precision_backend") and arguments.among("half_precision_backend", "apex"):
        yield "half_precision_backend", "apex"
    if arguments.given("quantization_bit") and isinstance(arguments["quantization_method"], str):
        requirement = QUANTIZERS.get(arguments["quantization_method"], "")
        if requirement:
            yield "quantization_bit", requirement
    if arguments.among("export_quantization_bit", 8, 4, 3, 2) and not arguments.trains:
        for requirement in EXPORT_QUANTIZER:
            yield "export_quantization_bit", requirement
    optimizer = arguments["optim"]
    if isinstance(optimizer, str) and optimizer in BITSANDBYTES and arguments.trains:
        yield "optim", "bitsandbytes"


def partition(requirement: str) -> tuple[str, str, str]:
    """`badam>=1.2.1` as name, "" and bounds."""
    name = requirement.split(">", maxsplit=1)[0].split("<", maxsplit=1)[0].split("=", maxsplit=1)[0]
    return name, "", requirement[len(name) :]


def missing_named_file(view: RunView) -> Iterator[Found]:
    """A setting that names a file which is not there.

    ## What it finds
    deepspeed, new_special_tokens_config or resume_from_checkpoint with a path that leads nowhere. Paths start from the
    folder in which the trainer is run, not from the yaml's.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops: "Expected a string path to an existing deepspeed config" (accelerate 1.11.0,
    utils/deepspeed.py), "Failed to load special tokens config" (hparams/model_args.py), or, after everything is loaded,
    "Can't find a valid checkpoint" (transformers 5.6.0, trainer.py).

    ## Bad
    ```yaml train.yaml
    deepspeed: ds_z2_config.json
    ```

    ## Good
    ```yaml train.yaml
    deepspeed: ds_z2_config.json
    ```
    ```json ds_z2_config.json
    {"train_micro_batch_size_per_gpu": "auto", "zero_optimization": {"stage": 2}}
    ```

    ## Fix
    Run the trainer from the folder that the path starts in, or write the path whole.
    """
    if view.settings.file is None:
        return
    arguments = arguments_of(view)
    for key in PATHS:
        value = arguments[key]
        if not arguments.takes(key) or not isinstance(value, str):
            continue
        deepspeed = arguments.deepspeed if key == "deepspeed" else None
        absent = deepspeed.fault == "no such file" if deepspeed is not None else bool(value) and not exists(value)
        if absent:
            yield in_yaml(view, key, f"{key}: {value} is not there", "an existing file")


def unknown_choice(view: RunView) -> Iterator[Found]:
    """A value that is none of those that the key can have.

    ## What it finds
    A word outside the list of a key's choices: finetuning_type, stage, optim, lr_scheduler_type, eval_strategy,
    save_strategy, mix_strategy, flash_attn and others. `eval_strategy: no` without quotes is one: YAML reads `no` as
    false.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops at start ("is not a valid IntervalStrategy", "Invalid fine-tuning method.") or later,
    where the value is first used ("Unknown mixing strategy", "Unknown attention type", "Unknown task").

    ## Bad
    ```yaml train.yaml
    finetuning_type: qlora
    ```

    ## Good
    ```yaml train.yaml
    finetuning_type: lora
    ```

    ## Fix
    Use one of the values that are named, in quotes where it is "no".
    """
    if view.settings.file is None:
        return
    for key, value in view.settings.raw.items():
        kind = kind_of(view, key)
        if kind is None or not kind.choices or value in kind.choices or (value is None and kind.null):
            continue
        if kind.types:
            continue  # other values go too
        texts = [str(choice) for choice in kind.choices]
        cure = ""
        if value is False and "no" in texts:
            cure = f'write "no" in quotes: {key}: "no"'
        elif isinstance(value, str) and (nearest := get_close_matches(value, texts, n=1, cutoff=0.5)):
            cure = f"did you mean {nearest[0]}?"
        expected = f"one of {', '.join(texts)}" if len(texts) < 13 else "a name that the trainer knows"
        yield in_yaml(view, key, arguments_of(view).shown(key), expected, cure)


def value_out_of_range(view: RunView) -> Iterator[Found]:
    """A number that the trainer or a library of its refuses.

    ## What it finds
    A lora_rank, batch size, number of workers or media limit below 1; a batch size that 64 bits do not hold; a seed
    outside 0 to 4294967295; lora_dropout above 1; quantization bits that the method does not have; a minimum of pixels
    above the maximum; steps that are no whole number; logging_steps: 0.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops: at start (hparams/model_args.py: ProcessorArguments; transformers 5.6.0,
    training_args.py; numpy's random.seed), or only after the model is loaded (PEFT, torch's DataLoader, bitsandbytes).

    ## Bad
    ```yaml train.yaml
    per_device_train_batch_size: 0
    ```

    ## Good
    ```yaml train.yaml
    per_device_train_batch_size: 1
    ```

    ## Fix
    Give a number within the range.
    """
    yield from refused(view, Group.RANGE)
    if view.settings.file is None:
        return
    arguments = arguments_of(view)
    for key, (low, high, reason) in RANGES.items():
        value = arguments.raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or low <= value <= high:
            continue  # of another type: wrong-value-type tells
        if key != "per_device_eval_batch_size" or arguments.evaluates:
            yield in_yaml(view, key, f"{arguments.shown(key)}: {reason}", between(low, high))
    if arguments.beyond("lora_dropout", 1) or (arguments.number("lora_dropout") or 0) < 0:
        yield in_yaml(view, "lora_dropout", arguments.shown("lora_dropout"), "a part between 0 and 1")


def between(low: float, high: float) -> str:
    """A range in words."""
    if math.isinf(low):
        return f"{high} or less"
    return f"{low} or more" if math.isinf(high) else f"from {low} to {high}"


def malformed_deepspeed_file(view: RunView) -> Iterator[Found]:
    """A DeepSpeed file that holds no JSON object.

    ## What it finds
    A file named by `deepspeed` that is no JSON (a comment or a trailing comma is enough), or JSON that is no object.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops at start (transformers 5.6.0, integrations/deepspeed.py: HfTrainerDeepSpeedConfig).

    ## Bad
    ```yaml train.yaml
    deepspeed: z2.json
    ```
    ```json z2.json
    {"zero_optimization": {"stage": 2},}
    ```

    ## Good
    ```yaml train.yaml
    deepspeed: z2.json
    ```
    ```json z2.json
    {"zero_optimization": {"stage": 2}}
    ```

    ## Fix
    Correct the JSON.
    """
    config = arguments_of(view).deepspeed if is_train(view) else None
    if config is not None and config.fault and config.fault != "no such file":
        named = view.settings.raw["deepspeed"]
        yield in_yaml(
            view, "deepspeed", f"{named if isinstance(named, str) else 'deepspeed'}: {config.fault}", "a JSON object"
        )


def conflicting_method(view: RunView) -> Iterator[Found]:
    """An option that does not go with the fine-tuning method.

    ## What it finds
    adapter_name_or_path, use_dora, use_rslora, loraplus_lr_ratio or pissa_init without finetuning_type: lora;
    quantization with full or freeze; GaLore, APOLLO or BAdam with LoRA or with one another; several adapters or a
    new one on a quantized model.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/finetuning_args.py: __post_init__; hparams/parser.py:
    _verify_model_args), after the imports.

    ## Bad
    ```yaml train.yaml
    finetuning_type: full
    quantization_bit: 4
    ```

    ## Good
    ```yaml train.yaml
    finetuning_type: lora
    quantization_bit: 4
    ```

    ## Fix
    Choose the method that the option belongs to, or remove the option.
    """
    yield from refused(view, Group.METHOD)


def conflicting_stage(view: RunView) -> Iterator[Found]:
    """An option that does not go with the stage.

    ## What it finds
    predict_with_generate, neat_packing, train_on_prompt or mask_history outside sft; load_best_model_at_end in rm and
    ppo; pissa_init where a reference model is used; infer_backend in a training; compute_accuracy with
    predict_with_generate.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/parser.py: get_train_args; hparams/finetuning_args.py), after
    the imports.

    ## Bad
    ```yaml train.yaml
    predict_with_generate: true
    compute_accuracy: true
    val_size: 0.5
    ```

    ## Good
    ```yaml train.yaml
    predict_with_generate: true
    val_size: 0.5
    ```

    ## Fix
    Remove the option, or train the stage that it belongs to.
    """
    yield from refused(view, Group.STAGE)


def conflicting_precision(view: RunView) -> Iterator[Found]:
    """Two settings of number formats that exclude each other.

    ## What it finds
    fp16 with bf16, fp8 with quantization_bit, quantization_device_map in a training.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/parser.py: get_train_args; transformers 5.6.0,
    training_args.py: _validate_args), after the imports.

    ## Bad
    ```yaml train.yaml
    bf16: true
    fp16: true
    ```

    ## Good
    ```yaml train.yaml
    bf16: true
    ```

    ## Fix
    Keep one: bf16 on Ampere and later GPUs, fp16 on older ones.
    """
    yield from refused(view, Group.PRECISION)


def conflicting_deepspeed(view: RunView) -> Iterator[Found]:
    """A setting that does not go with DeepSpeed, or not with ZeRO-3.

    ## What it finds
    GaLore, APOLLO or BAdam with deepspeed; predict_with_generate, pissa_init, pure_bf16, Unsloth or 8-bit quantization
    with ZeRO-3.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (hparams/parser.py: get_train_args; model/model_utils/quantization.py).

    ## Bad
    ```yaml train.yaml
    deepspeed: z3.json
    predict_with_generate: true
    val_size: 0.5
    ```
    ```json z3.json
    {"zero_optimization": {"stage": 3}}
    ```

    ## Good
    ```yaml train.yaml
    deepspeed: z2.json
    predict_with_generate: true
    val_size: 0.5
    ```
    ```json z2.json
    {"zero_optimization": {"stage": 2}}
    ```

    ## Fix
    Use ZeRO-2, or remove the setting.
    """
    yield from refused(view, Group.DEEPSPEED)


def conflicting_schedule(view: RunView) -> Iterator[Found]:
    """Steps and strategies of evaluating and saving that exclude each other.

    ## What it finds
    load_best_model_at_end with another strategy for saving than for evaluation, or with save_steps that are no multiple
    of eval_steps; a scheduler that follows the evaluation (reduce_lr_on_plateau, greedy) without one.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with a ValueError (transformers 5.6.0, training_args.py: _validate_args), after the
    imports.

    ## Bad
    ```yaml train.yaml
    load_best_model_at_end: true
    eval_strategy: epoch
    save_strategy: steps
    val_size: 0.5
    ```

    ## Good
    ```yaml train.yaml
    load_best_model_at_end: true
    eval_strategy: epoch
    save_strategy: epoch
    val_size: 0.5
    ```

    ## Fix
    Save and evaluate by the same strategy, with save_steps a multiple of eval_steps.
    """
    yield from refused(view, Group.SCHEDULE)


DEEPSPEED_PAIRS = (
    ("train_micro_batch_size_per_gpu", "per_device_train_batch_size"),
    ("gradient_accumulation_steps", "gradient_accumulation_steps"),
    ("gradient_clipping", "max_grad_norm"),
    ("optimizer.params.lr", "learning_rate"),
    ("optimizer.params.eps", "adam_epsilon"),
    ("optimizer.params.weight_decay", "weight_decay"),
    ("scheduler.params.warmup_max_lr", "learning_rate"),
)
"""transformers 5.6.0, integrations/deepspeed.py: trainer_config_process."""


def deepspeed_file_disagrees(view: RunView) -> Iterator[Found]:
    """A DeepSpeed file that says another number than the yaml.

    ## What it finds
    train_micro_batch_size_per_gpu, gradient_accumulation_steps, gradient_clipping, the optimizer's learning rate and
    others, written as numbers that are not those of the yaml, or of the trainer's defaults.

    ## Why it matters
    The run stops after the model is loaded: "Please correct the following DeepSpeed config values that mismatch
    TrainingArguments values" (transformers 5.6.0, integrations/deepspeed.py: trainer_config_finalize).

    ## Bad
    ```yaml train.yaml
    deepspeed: z2.json
    per_device_train_batch_size: 2
    ```
    ```json z2.json
    {"train_micro_batch_size_per_gpu": 4, "zero_optimization": {"stage": 2}}
    ```

    ## Good
    ```yaml train.yaml
    deepspeed: z2.json
    per_device_train_batch_size: 2
    ```
    ```json z2.json
    {"train_micro_batch_size_per_gpu": "auto", "zero_optimization": {"stage": 2}}
    ```

    ## Fix
    Write "auto" in the DeepSpeed file: the yaml then decides.
    """
    arguments = arguments_of(view)
    config = arguments.deepspeed if is_train(view) else None
    if config is None:
        return
    pairs = [(path, key, config.value(path), arguments[key]) for path, key in DEEPSPEED_PAIRS]
    for path, keys in (("fp16.enabled", ("fp16", "fp16_full_eval")), ("bf16.enabled", ("bf16", "bf16_full_eval"))):
        pairs.append((path, keys[0], config.value(path), any(arguments.on(key) for key in keys)))
    for path, key, theirs, ours in pairs:
        if theirs is not None and theirs not in ("auto", ours):
            found = f"{path} is {theirs!r} in {view.settings.raw['deepspeed']}, {key} is {ours!r}"
            yield in_yaml(view, "deepspeed", found, '"auto"')


def attention_not_installed(view: RunView) -> Iterator[Found]:
    """A FlashAttention that is asked for and not installed.

    ## What it finds
    flash_attn: fa2 without flash-attn 2.3.3 or later beside the trainer. Where no llamafactory is installed beside
    mmcurate, nothing is known and nothing is said.

    ## Why it matters
    LLaMA-Factory 0.9.5 logs "FlashAttention-2 is not installed." and trains on with the model's own attention, slower
    and with more memory than planned (model/model_utils/attention.py: configure_attn_implementation).

    ## Bad
    ```yaml train.yaml
    flash_attn: fa2
    ```
    ```text environment
    llamafactory 0.9.5
    ```

    ## Good
    ```yaml train.yaml
    flash_attn: sdpa
    ```
    ```text environment
    llamafactory 0.9.5
    ```

    ## Fix
    Install flash-attn, or write flash_attn: sdpa, which says what happens.
    """
    if not is_train(view) or view.version_of("llamafactory") is None:
        return
    version = view.version_of("flash-attn")
    ascends = view.version_of("torch-npu") is not None  # Ascend brings its own (is_torch_npu_available)
    if (
        view.settings.raw.get("flash_attn") == "fa2"
        and not ascends
        and not view.settings.trainer.has("flash-attention-without-sink")  # there a rule of its own advises against it
        and (version is None or not installed.accepted(version, FLASH))
    ):
        state = f"flash-attn is {version}" if version else "flash-attn is not installed"
        yield in_yaml(view, "flash_attn", f"flash_attn: fa2; {state}", f"flash-attn{FLASH}")


def refused_version(view: RunView) -> Iterator[Found]:
    """A library beside the trainer in a version that it refuses.

    ## What it finds
    transformers, datasets, accelerate, peft or trl outside the bounds of LLaMA-Factory 0.9.5. Where that release is not
    installed beside mmcurate, nothing is said.

    ## Why it matters
    LLaMA-Factory 0.9.5 compares them at each start and stops (extras/misc.py: check_dependencies), unless
    DISABLE_VERSION_CHECK is set; behaviour is then untested.

    ## Bad
    ```text environment
    llamafactory 0.9.5, transformers 5.9.0
    ```

    ## Good
    ```text environment
    llamafactory 0.9.5, transformers 5.5.4
    ```

    ## Fix
    Install a version within the bounds, or run the command that is named.
    """
    if view.settings.file is None or view.version_of("llamafactory") != trainer_version():
        return
    set_for_run = os.environ | variables_of(view.settings.environment)
    if set_for_run.get("DISABLE_VERSION_CHECK", "").lower() in ("true", "y", "1"):  # extras/misc.py: is_env_enabled
        return
    for requirement in TRAINER_BOUNDS:
        name, _, bounds = partition(requirement)
        version = view.version_of(name)
        if version is not None and not installed.accepted(version, bounds):
            cure = f"curate env {view.settings.file}, which makes an environment of versions that fit"
            yield in_yaml(view, "", f"{name} {version} is installed", bounds, cure)
