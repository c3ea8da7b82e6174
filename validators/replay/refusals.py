"""The checks that the trainer makes of its arguments before it loads anything, with the words that it stops with.

LLaMA-Factory 0.9.5: hparams/parser.py (get_train_args, _verify_model_args) and the __post_init__ of hparams/*_args.py;
transformers 4.57.1 and 5.5.4: training_args.py (__post_init__, _validate_args). Values outside a key's choices are not
here: see rule unknown-choice. What depends on the machine or on how the trainer is launched is not here either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from validators.llamafactory.trainer import Trainer
from validators.replay.arguments import Arguments


class Group(StrEnum):
    """What kind of mistake a refusal is about; each has a rule of its own."""

    DATA = "data"
    MISSING = "missing"
    RANGE = "range"
    METHOD = "method"
    STAGE = "stage"
    PRECISION = "precision"
    DEEPSPEED = "deepspeed"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One check: when it refuses, the keys that are to blame, the trainer's words, and what it wants."""

    group: Group
    keys: tuple[str, ...]
    when: Callable[[Arguments], bool]
    words: str
    expected: str
    always: bool = False
    """Whether a merge or a chat is refused as well, not only a training."""
    loading: bool = False
    """Whether the refusal comes when the model is loaded (model/model_utils/quantization.py), not at parsing."""
    quirk: str = ""
    """The quirk of those releases that have the check; "" where all have it."""

    def made_by(self, trainer: Trainer) -> bool:
        """Whether the trainer makes this check."""
        return not self.quirk or trainer.has(self.quirk)


def refusals(arguments: Arguments, group: Group) -> Iterator[Refusal]:
    """The checks of a group that these arguments fail."""
    for refusal in REFUSALS:
        asked = refusal.group is group and (refusal.always or arguments.trains)
        if asked and refusal.made_by(arguments.trainer) and refusal.when(arguments):
            yield refusal


def strategies_differ(a: Arguments) -> bool:
    """The best model is wanted, but evaluation and saving do not go together."""
    return a.on("load_best_model_at_end") and a["save_strategy"] != "best" and a["eval_strategy"] != a["save_strategy"]


def steps_do_not_divide(a: Arguments) -> bool:
    """The best model is wanted, but not each save follows an evaluation."""
    if not a.on("load_best_model_at_end") or strategies_differ(a) or a["eval_strategy"] != "steps":
        return False
    save = a.number("save_steps")
    each = steps_of(a, "eval_steps")
    if save is None or not each or a["save_strategy"] != "steps" or save % each == 0:
        return False
    if each < 1 and save < 1:
        return (save * 1_000_000) % (each * 1_000_000) != 0
    return True


def counts_differ(a: Arguments, key: str) -> bool:
    """Probabilities are not one for each dataset of this list."""
    mixes = a.given("interleave_probs") and a["mix_strategy"] != "concat"
    return mixes and a.given(key) and len(a.names(key)) != len(a.names("interleave_probs"))


def fraction_of_steps(key: str) -> Callable[[Arguments], bool]:
    """More than one step, but no whole number of them."""
    strategy = key.replace("_steps", "_strategy")
    return lambda a: a[strategy] == "steps" and (steps := steps_of(a, key)) > 1 and steps % 1 != 0


def steps_of(a: Arguments, key: str) -> float:
    """A number of steps, 0 for none; evaluation goes by logging_steps where it has none of its own."""
    return a.number(key) or (key == "eval_steps" and a.number("logging_steps")) or 0


def value_of(arguments: Arguments, key: str) -> float:
    """A number, or what nothing is beyond."""
    value = arguments.number(key)
    return float("inf") if value is None else value


def quantizes(a: Arguments, method: str, *bits: int) -> bool:
    """The method was asked for, with a number of bits that it does not have."""
    return a.given("quantization_bit") and a["quantization_method"] == method and a["quantization_bit"] not in bits


def optimizers(a: Arguments) -> int:
    """How many of the memory-saving optimizers are on."""
    return sum(a.on(key) for key in ("use_galore", "use_apollo", "use_badam"))


def lora_only(key: str, words: str, when: Callable[[Arguments], bool] | None = None) -> Refusal:
    """An option of LoRA under another method."""
    is_set = when or (lambda a: a.on(key))
    return Refusal(
        Group.METHOD,
        (key, "finetuning_type"),
        lambda a: not a.among("finetuning_type", "lora") and is_set(a),
        words,
        f"finetuning_type: lora, or no {key}",
        always=True,
    )


def quantized(keys: tuple[str, ...], when: Callable[[Arguments], bool], words: str, expected: str) -> Refusal:
    """Something that a quantized model does not take."""
    return Refusal(
        Group.METHOD,
        (*keys, "quantization_bit"),
        lambda a: a.given("quantization_bit") and when(a),
        words,
        expected,
        always=True,
    )


# fmt: off
REFUSALS: tuple[Refusal, ...] = (
    Refusal(Group.DATA, ("val_size", "dataset"), lambda a: a.holds_out and not a.given("dataset"),
            "Cannot specify `val_size` if `dataset` is None.", "a dataset", True),
    Refusal(Group.DATA, ("val_size", "eval_dataset"), lambda a: a.holds_out and a.given("eval_dataset"),
            "Cannot specify `val_size` if `eval_dataset` is not None.", "one of the two", True),
    Refusal(Group.DATA, ("interleave_probs", "mix_strategy"),
            lambda a: a.given("interleave_probs") and a.among("mix_strategy", "concat"),
            "`interleave_probs` is only valid for interleaved mixing.", "an interleave strategy", True),
    Refusal(Group.DATA, ("interleave_probs", "dataset"), lambda a: counts_differ(a, "dataset"),
            "The length of dataset and interleave probs should be identical.",
            "one probability for each dataset", True),
    Refusal(Group.DATA, ("interleave_probs", "eval_dataset"), lambda a: counts_differ(a, "eval_dataset"),
            "The length of eval dataset and interleave probs should be identical.",
            "one probability for each dataset", True),
    Refusal(Group.DATA, ("val_size", "streaming"),
            lambda a: a.on("streaming") and a.holds_out and not a.beyond("val_size", 0.999_999_999),
            "Streaming mode should have an integer val size.", "a number of rows", True),
    Refusal(Group.DATA, ("max_samples", "streaming"), lambda a: a.on("streaming") and a.given("max_samples"),
            "`max_samples` is incompatible with `streaming`.", "one of the two", True),
    Refusal(Group.DATA, ("train_on_prompt", "mask_history"), lambda a: a.on("mask_history") and a.on("train_on_prompt"),
            "`mask_history` is incompatible with `train_on_prompt`.", "one of the two", True),

    Refusal(Group.MISSING, ("model_name_or_path",), lambda a: not a.given("model_name_or_path"),
            "Please provide `model_name_or_path`.", "a model's folder or hub name", True),
    Refusal(Group.MISSING, ("reward_model", "stage"), lambda a: a.among("stage", "ppo") and not a.given("reward_model"),
            "`reward_model` is necessary for PPO training.", "a reward_model", True),
    Refusal(Group.MISSING, ("export_quantization_dataset", "export_quantization_bit"),
            lambda a: a.given("export_quantization_bit") and not a.given("export_quantization_dataset"),
            "Quantization dataset is necessary for exporting.", "export_quantization_dataset: a file of texts", True),
    Refusal(Group.MISSING, ("predict_with_generate", "do_predict"),
            lambda a: a.among("stage", "sft") and a.on("do_predict") and not a.on("predict_with_generate"),
            "Please enable `predict_with_generate` to save model predictions.", "predict_with_generate: true"),
    Refusal(Group.MISSING, ("max_steps", "streaming"), lambda a: a.on("streaming") and a.number("max_steps") == -1,
            "Please specify `max_steps` in streaming mode.", "max_steps: the number of steps to train"),
    Refusal(Group.MISSING, ("eval_dataset", "eval_strategy", "do_eval", "do_predict", "predict_with_generate"),
            lambda a: a.evaluates and not a.given("eval_dataset") and not a.holds_out,
            "Please make sure eval_dataset be provided or val_size >1e-6", "an eval_dataset, or a val_size"),
    Refusal(Group.MISSING, ("project", "report_to"), lambda a: "trackio" in a.names("report_to") and not a["project"],
            "`--project` must be specified when using Trackio.", "a project"),
    Refusal(Group.MISSING, ("dataloader_num_workers", "dataloader_prefetch_factor"),
            lambda a: a["dataloader_num_workers"] == 0 and a.given("dataloader_prefetch_factor"),
            "--dataloader_prefetch_factor can only be set when data is loaded in a different process",
            "dataloader_num_workers above 0"),

    Refusal(Group.RANGE, ("image_max_pixels", "image_min_pixels"),
            lambda a: a.beyond("image_min_pixels", value_of(a, "image_max_pixels")),
            "`image_max_pixels` cannot be smaller than `image_min_pixels`.", "the larger as image_max_pixels", True),
    Refusal(Group.RANGE, ("video_max_pixels", "video_min_pixels"),
            lambda a: a.beyond("video_min_pixels", value_of(a, "video_max_pixels")),
            "`video_max_pixels` cannot be smaller than `video_min_pixels`.", "the larger as video_max_pixels", True),
    Refusal(Group.RANGE, ("ref_model_quantization_bit",),
            lambda a: not a.among("ref_model_quantization_bit", None, 8, 4),
            "We only accept 4-bit or 8-bit quantization.", "4 or 8", True),
    Refusal(Group.RANGE, ("reward_model_quantization_bit",),
            lambda a: not a.among("reward_model_quantization_bit", None, 8, 4),
            "We only accept 4-bit or 8-bit quantization.", "4 or 8", True),
    Refusal(Group.RANGE, ("logging_steps", "logging_strategy"),
            lambda a: a.among("logging_strategy", "steps") and a.number("logging_steps") == 0,
            "requires non-zero --logging_steps", "a number of steps, or logging_strategy: no"),
    Refusal(Group.RANGE, ("logging_steps",), fraction_of_steps("logging_steps"),
            "--logging_steps must be an integer if bigger than 1", "a whole number"),
    Refusal(Group.RANGE, ("eval_steps",), fraction_of_steps("eval_steps"),
            "--eval_steps must be an integer if bigger than 1", "a whole number"),
    Refusal(Group.RANGE, ("save_steps",), fraction_of_steps("save_steps"),
            "--save_steps must be an integer if bigger than 1", "a whole number"),
    Refusal(Group.RANGE, ("warmup_ratio", "warmup_steps"),
            lambda a: (a.number("warmup_ratio" if a.given("warmup_ratio") else "warmup_steps") or 0) < 0,
            "warmup_steps must be an integer or a float", "0 or more", quirk="warmup-in-parts"),
    Refusal(Group.RANGE, ("warmup_ratio",),
            lambda a: not 0 <= (a.number("warmup_ratio") or 0) <= 1,
            "warmup_ratio must lie in range [0,1]", "a part of the run between 0 and 1",
            quirk="warmup-in-whole-steps"),
    Refusal(Group.RANGE, ("warmup_steps",),
            lambda a: (steps := a.number("warmup_steps")) is not None and (isinstance(steps, float) or steps < 0),
            "warmup_steps must be of type int and must be 0 or a positive integer.",
            "a whole number of steps; warmup_ratio for a part of the run", quirk="warmup-in-whole-steps"),
    Refusal(Group.RANGE, ("torch_empty_cache_steps",),
            lambda a: a.given("torch_empty_cache_steps") and not (isinstance(a["torch_empty_cache_steps"], int)
                                                                  and a.beyond("torch_empty_cache_steps", 0)),
            "`torch_empty_cache_steps` must be an integer bigger than 0", "a whole number above 0"),

    Refusal(Group.RANGE, ("quantization_bit",), lambda a: quantizes(a, "bnb", 4, 8),
            "Bitsandbytes only accepts 4-bit or 8-bit quantization.", "4 or 8", True, True),
    Refusal(Group.RANGE, ("quantization_bit", "quantization_method"),
            lambda a: quantizes(a, "hqq", 8, 6, 5, 4, 3, 2, 1),
            "HQQ only accepts 1/2/3/4/5/6/8-bit quantization.", "1, 2, 3, 4, 5, 6 or 8", True, True),
    Refusal(Group.RANGE, ("quantization_bit", "quantization_method"), lambda a: quantizes(a, "eetq", 8),
            "EETQ only accepts 8-bit quantization.", "8", True, True),
    Refusal(Group.RANGE, ("export_quantization_bit",),
            lambda a: not a.among("export_quantization_bit", None, 8, 4, 3, 2),
            "AutoGPTQ only accepts 2/3/4/8-bit quantization.", "2, 3, 4 or 8", True, True),

    Refusal(Group.METHOD, ("adapter_name_or_path", "finetuning_type"),
            lambda a: a.given("adapter_name_or_path") and not a.among("finetuning_type", "lora"),
            "Adapter is only valid for the LoRA method.", "finetuning_type: lora, or no adapter", True),
    quantized(("finetuning_type",), lambda a: not a.among("finetuning_type", "lora", "oft"),
              "Quantization is only compatible with the LoRA or OFT method.", "finetuning_type: lora"),
    quantized(("pissa_init",), lambda a: a.on("pissa_init"),
              "Please use scripts/pissa_init.py to initialize PiSSA for a quantized model.", "one of the two"),
    quantized(("resize_vocab",), lambda a: a.on("resize_vocab"),
              "Cannot resize embedding layers of a quantized model.", "one of the two"),
    quantized(("create_new_adapter", "adapter_name_or_path"),
              lambda a: a.given("adapter_name_or_path") and a.on("create_new_adapter"),
              "Cannot create new adapter upon a quantized model.", "create_new_adapter: false"),
    quantized(("adapter_name_or_path",), lambda a: len(a.names("adapter_name_or_path")) > 1,
              "Quantized model only accepts a single adapter. Merge them first.", "one adapter"),
    Refusal(Group.METHOD, ("use_llama_pro", "finetuning_type"),
            lambda a: a.on("use_llama_pro") and a.among("finetuning_type", "full"),
            "`use_llama_pro` is only valid for Freeze or LoRA training.", "finetuning_type: freeze or lora", True),
    Refusal(Group.METHOD, ("finetuning_type", "use_galore", "use_apollo", "use_badam"),
            lambda a: a.among("finetuning_type", "lora") and optimizers(a) > 0,
            "Cannot use LoRA with GaLore, APOLLO or BAdam together.", "finetuning_type: full or freeze", True),
    Refusal(Group.METHOD, ("use_galore", "use_apollo", "use_badam"), lambda a: optimizers(a) > 1,
            "Cannot use GaLore, APOLLO or BAdam together.", "one of them", True),
    lora_only("loraplus_lr_ratio", "`loraplus_lr_ratio` is only valid for LoRA training.",
              lambda a: a.given("loraplus_lr_ratio")),
    lora_only("use_rslora", "`use_rslora` is only valid for LoRA training."),
    lora_only("use_dora", "`use_dora` is only valid for LoRA training."),
    lora_only("pissa_init", "`pissa_init` is only valid for LoRA training."),

    Refusal(Group.STAGE, ("reward_model_type", "finetuning_type"),
            lambda a: a.among("stage", "ppo") and a.among("reward_model_type", "lora")
            and not a.among("finetuning_type", "lora"),
            "`reward_model_type` cannot be lora for Freeze/Full PPO training.", "reward_model_type: full", True),
    Refusal(Group.STAGE, ("dpo_label_smoothing", "pref_loss"),
            lambda a: a.among("stage", "dpo") and not a.among("pref_loss", "sigmoid")
            and a.beyond("dpo_label_smoothing", 1e-6),
            "`dpo_label_smoothing` is only valid for sigmoid loss function.", "pref_loss: sigmoid", True),
    Refusal(Group.STAGE, ("pissa_init", "stage"),
            lambda a: a.on("pissa_init") and (a.among("stage", "ppo", "kto") or a.uses_reference),
            "Cannot use PiSSA for current training stage.", "pissa_init: false", True),
    Refusal(Group.STAGE, ("predict_with_generate", "stage"),
            lambda a: not a.among("stage", "sft") and a.on("predict_with_generate"),
            "`predict_with_generate` cannot be set as True except SFT.", "stage: sft"),
    Refusal(Group.STAGE, ("neat_packing", "stage"), lambda a: not a.among("stage", "sft") and a.on("neat_packing"),
            "`neat_packing` cannot be set as True except SFT.", "stage: sft"),
    Refusal(Group.STAGE, ("train_on_prompt", "mask_history", "stage"),
            lambda a: not a.among("stage", "sft") and (a.on("train_on_prompt") or a.on("mask_history")),
            "`train_on_prompt` or `mask_history` cannot be set as True except SFT.", "stage: sft"),
    Refusal(Group.STAGE, ("load_best_model_at_end", "stage"),
            lambda a: a.among("stage", "rm", "ppo") and a.on("load_best_model_at_end"),
            "RM and PPO stages do not support `load_best_model_at_end`.", "load_best_model_at_end: false"),
    Refusal(Group.STAGE, ("do_train", "stage"), lambda a: a.among("stage", "ppo") and not a.on("do_train"),
            "PPO training does not support evaluation, use the SFT stage to evaluate models.", "do_train: true"),
    Refusal(Group.STAGE, ("shift_attn", "stage"), lambda a: a.among("stage", "ppo") and a.on("shift_attn"),
            "PPO training is incompatible with S^2-Attn.", "shift_attn: false"),
    Refusal(Group.STAGE, ("reward_model_type", "use_kt"),
            lambda a: a.among("stage", "ppo") and a.among("reward_model_type", "lora") and a.on("use_kt"),
            "KTransformers does not support lora reward model.", "reward_model_type: full"),
    Refusal(Group.STAGE, ("reward_model_type", "use_unsloth"),
            lambda a: a.among("stage", "ppo") and a.among("reward_model_type", "lora") and a.on("use_unsloth"),
            "Unsloth does not support lora reward model.", "reward_model_type: full"),
    Refusal(Group.STAGE, ("report_to", "stage"),
            lambda a: a.among("stage", "ppo")
            and any(name not in ("wandb", "tensorboard", "trackio", "none") for name in a.names("report_to")),
            "PPO only accepts wandb, tensorboard, or trackio logger.", "wandb, tensorboard, trackio or none"),
    Refusal(Group.STAGE, ("predict_with_generate", "compute_accuracy"),
            lambda a: a.on("predict_with_generate") and a.on("compute_accuracy"),
            "Cannot use `predict_with_generate` and `compute_accuracy` together.", "one of the two"),
    Refusal(Group.STAGE, ("infer_backend",), lambda a: not a.among("infer_backend", "huggingface"),
            "vLLM/SGLang backend is only available for API, CLI and Web.", "infer_backend: huggingface"),

    Refusal(Group.PRECISION, ("fp16", "bf16"), lambda a: a.on("fp16") and a.on("bf16"),
            "At most one of fp16 and bf16 can be True, but not both", "one of the two"),
    Refusal(Group.PRECISION, ("fp16_full_eval", "bf16_full_eval"),
            lambda a: a.on("fp16_full_eval") and a.on("bf16_full_eval"),
            "At most one of fp16 and bf16 can be True for full eval, but not both", "one of the two"),
    Refusal(Group.PRECISION, ("half_precision_backend", "bf16"),
            lambda a: a.on("bf16") and a.among("half_precision_backend", "apex"),
            " `--half_precision_backend apex`: GPU bf16 is not supported by apex.", "half_precision_backend: auto",
            quirk="half-precision-backend"),
    Refusal(Group.PRECISION, ("quantization_device_map", "do_train"),
            lambda a: a.on("do_train") and a.among("quantization_device_map", "auto"),
            "Cannot use device map for quantized models in training.", "no quantization_device_map"),
    Refusal(Group.PRECISION, ("fp8", "quantization_bit"), lambda a: a.on("fp8") and a.given("quantization_bit"),
            "FP8 training is not compatible with quantization. Please disable one of them.", "one of the two"),

    Refusal(Group.DEEPSPEED, ("predict_with_generate", "deepspeed"),
            lambda a: a.zero3 and a.on("predict_with_generate"),
            "`predict_with_generate` is incompatible with DeepSpeed ZeRO-3.", "ZeRO-2"),
    Refusal(Group.DEEPSPEED, ("pissa_init", "deepspeed"), lambda a: a.zero3 and a.on("pissa_init"),
            "Please use scripts/pissa_init.py to initialize PiSSA in DeepSpeed ZeRO-3.", "ZeRO-2"),
    Refusal(Group.DEEPSPEED, ("pure_bf16", "deepspeed"), lambda a: a.zero3 and a.on("pure_bf16"),
            "`pure_bf16` is incompatible with DeepSpeed ZeRO-3.", "bf16: true"),
    Refusal(Group.DEEPSPEED, ("badam_mode", "deepspeed"),
            lambda a: a.on("deepspeed") and a.on("use_badam") and a.among("badam_mode", "ratio"),
            "Radio-based BAdam does not yet support distributed training, use layer-wise BAdam.", "badam_mode: layer"),
    Refusal(Group.DEEPSPEED, ("badam_mode", "deepspeed"),
            lambda a: a.on("deepspeed") and not a.zero3 and a.on("use_badam") and not a.among("badam_mode", "ratio"),
            "Layer-wise BAdam only supports DeepSpeed ZeRO-3 training.", "ZeRO-3, or no deepspeed"),
    Refusal(Group.DEEPSPEED, ("use_galore", "use_apollo", "deepspeed"),
            lambda a: a.given("deepspeed") and (a.on("use_galore") or a.on("use_apollo")),
            "GaLore and APOLLO are incompatible with DeepSpeed yet.", "no deepspeed"),
    Refusal(Group.DEEPSPEED, ("use_unsloth", "deepspeed"), lambda a: a.zero3 and a.on("use_unsloth"),
            "Unsloth is incompatible with DeepSpeed ZeRO-3.", "ZeRO-2"),
    Refusal(Group.DEEPSPEED, ("use_kt", "deepspeed"), lambda a: a.zero3 and a.on("use_kt"),
            "KTransformers is incompatible with DeepSpeed ZeRO-3.", "ZeRO-2"),
    Refusal(Group.DEEPSPEED, ("quantization_bit", "deepspeed"),
            lambda a: a.zero3 and a.among("quantization_method", "bnb") and a["quantization_bit"] == 8,
            "Only 4-bit quantized model can use fsdp+qlora or auto device map.", "quantization_bit: 4, or ZeRO-2",
            loading=True),
    Refusal(Group.DEEPSPEED, ("quantization_method", "deepspeed"),
            lambda a: a.zero3 and a.given("quantization_bit") and a.among("quantization_method", "hqq"),
            "HQQ quantization is incompatible with DeepSpeed ZeRO-3 or FSDP.", "ZeRO-2", loading=True),
    Refusal(Group.DEEPSPEED, ("quantization_method", "deepspeed"),
            lambda a: a.zero3 and a.given("quantization_bit") and a.among("quantization_method", "eetq"),
            "EETQ quantization is incompatible with DeepSpeed ZeRO-3 or FSDP.", "ZeRO-2", loading=True),

    Refusal(Group.SCHEDULE, ("eval_steps", "logging_steps"),
            lambda a: a.among("eval_strategy", "steps") and not a["eval_steps"] and not a.beyond("logging_steps", 0),
            "requires either non-zero --eval_steps or", "a number of steps"),
    Refusal(Group.SCHEDULE, ("load_best_model_at_end", "eval_strategy", "save_strategy"), strategies_differ,
            "--load_best_model_at_end requires the save and eval strategy to match", "the same strategy for both"),
    Refusal(Group.SCHEDULE, ("save_steps", "eval_steps"), steps_do_not_divide,
            "--load_best_model_at_end requires the saving steps to be a", "save_steps: a multiple of eval_steps"),
    Refusal(Group.SCHEDULE, ("lr_scheduler_type", "eval_strategy"),
            lambda a: a.among("lr_scheduler_type", "reduce_lr_on_plateau") and a.among("eval_strategy", "no", False),
            "lr_scheduler_type reduce_lr_on_plateau requires an eval strategy", "eval_strategy: steps or epoch"),
    Refusal(Group.SCHEDULE, ("lr_scheduler_type", "eval_strategy"),
            lambda a: a.among("lr_scheduler_type", "greedy") and a.among("eval_strategy", "no", False),
            "lr_scheduler_type greedy requires an eval strategy", "eval_strategy: steps or epoch",
            quirk="greedy-scheduler"),
)
# fmt: on
