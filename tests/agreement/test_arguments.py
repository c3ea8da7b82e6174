"""A yaml is refused here exactly where the real parser of llamafactory refuses it, and with the parser's own words."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.scaffold import TRAIN, Overlay
from validators.engine import check
from validators.probes import installed
from validators.replay.arguments import Arguments
from validators.replay.refusals import REFUSALS
from validators.replay.requirements import BITSANDBYTES, TRAINER_BOUNDS

Project = Callable[[Overlay], Path]
SEEDS = int(os.environ.get("ARGUMENT_SEEDS", "300"))
"""More of them for a longer search."""
ORACLE = Path(__file__).with_name("arguments_oracle.py")
# what the parser itself stops at; what is only found when a model is loaded has other codes, or is left out below
REFUSING = {
    *("CFG001", "CFG003", "CFG004", "CFG005", "CFG101", "CFG102", "CFG103", "CFG105", "CFG106", "CFG107"),
    *("CFG201", "CFG202", "CFG203", "CFG204", "CFG205", "CFG206", "CFG208", "CFG210", "DSI108"),
}
POOL: dict[str, list[object]] = {
    "stage": ["sft", "dpo", "kto", "ppo", "rm", "pt"],
    "finetuning_type": ["lora", "full", "freeze", "oft", "qlora"],
    "adapter_name_or_path": ["adapter", "adapter,other"],
    "create_new_adapter": [True],
    "quantization_bit": [4, 8],
    "quantization_device_map": ["auto"],
    "resize_vocab": [True],
    "pissa_init": [True],
    "use_dora": [True],
    "use_rslora": [True, False],
    "loraplus_lr_ratio": [16.0],
    "use_llama_pro": [True],
    "use_galore": [True],
    "use_apollo": [True],
    "use_badam": [True],
    "badam_mode": ["layer", "ratio"],
    "use_unsloth": [True],
    "enable_liger_kernel": [True],
    "use_adam_mini": [True],
    "plot_loss": [True],
    "do_train": [True, False],
    "do_eval": [True, False],
    "do_predict": [True],
    "predict_with_generate": [True],
    "compute_accuracy": [True],
    "val_size": [0.1, 0, 5, 1e-7],
    "eval_dataset": ["data", "data,data"],
    "dataset": [None, "data,data", "data"],
    "streaming": [True],
    "max_steps": [100, -1],
    "max_samples": [10],
    "packing": [True],
    "neat_packing": [True],
    "mask_history": [True],
    "train_on_prompt": [True],
    "mix_strategy": ["concat", "interleave_under"],
    "interleave_probs": ["0.5", "0.5,0.5", [0.3, 0.7]],
    "eval_strategy": ["steps", "epoch", "no", False, "never"],
    "eval_steps": [100, 0.5, 1.5, 0, None],
    "save_strategy": ["steps", "epoch", "no", "best", False],
    "save_steps": [100, 150, 0.5, 0.25, 2.5],
    "logging_strategy": ["steps", "epoch"],
    "logging_steps": [1, 0, 10, 2.5, "10"],
    "load_best_model_at_end": [True],
    "lr_scheduler_type": ["cosine", "reduce_lr_on_plateau", "greedy", "cosin"],
    "optim": ["adamw_torch", "adam", "sgd"],
    "warmup_ratio": [0.1, -0.1, 1.5],
    "warmup_steps": [10, -5, 0.1, 5.0],
    "fp16_full_eval": [True],
    "bf16_full_eval": [True],
    "fp16": [True],
    "bf16": [True],
    "fp8": [True],
    "infer_backend": ["vllm", "huggingface"],
    "image_max_pixels": [1000, 600000],
    "image_min_pixels": [2000, 16],
    "video_max_pixels": [100, 65536],
    "video_min_pixels": [512, 16],
    "reward_model": ["model"],
    "reward_model_type": ["lora", "full", "api"],
    "pref_loss": ["sigmoid", "orpo", "simpo", "hinge"],
    "dpo_label_smoothing": [0.1, 0.0],
    "shift_attn": [True],
    "report_to": ["none", "wandb", "tensorboard", "mlflow"],
    "ref_model_quantization_bit": [3, 4],
    "dataloader_prefetch_factor": [2],
    "dataloader_num_workers": [2, 0],
    "torch_empty_cache_steps": [0, 4, 1.5],
    "overwrite_output_dir": [True, False],
    "output_dir": ["out", "finished", "checkpointed"],
    "model_name_or_path": [None, "model"],
    "cutof_len": [100],
    "learning_rate": ["1e-4", 1e-4],
    "lora_rank": [8, None],
    "export_quantization_bit": [4],
    # keys that one release of transformers has and another has not
    "group_by_length": [True],
    "save_safetensors": [True],
    "no_cuda": [True],
    "half_precision_backend": ["auto", "apex"],
    "train_sampling_strategy": ["random", "group_by_length"],
    "use_cache": [False],
}
DEEPSPEED: dict[str, list[object]] = {
    "deepspeed": ["z2.json", "z3.json", "none.json", "broken.json", {"zero_optimization": {"stage": 2}}],
}
MERGING = (
    "finetuning_type", "adapter_name_or_path", "create_new_adapter", "quantization_bit", "resize_vocab", "pissa_init",
    "use_dora", "loraplus_lr_ratio", "use_galore", "use_badam", "plot_loss", "val_size", "streaming", "max_samples",
    "image_max_pixels", "image_min_pixels", "pref_loss", "stage", "model_name_or_path", "cutof_len", "infer_dtype",
    "ref_model_quantization_bit", "export_quantization_bit", "export_quantization_dataset",
)  # fmt: skip
# what stops the run only after the parser: where a value is used, or a model or the trainer is made
LATER = re.compile(
    r"CFG004 (report_to|optim|(export_)?quantization_bit)|CFG105 (mix_strategy|stage|pref_loss)|CFG103 learning_rate"
    r"|CFG106 \w+: \S+: \w|CFG106 .*(Bitsandbytes|HQQ|EETQ|AutoGPTQ)|CFG205 .*(Only 4-bit|FSDP)|CFG201 tokenized_path"
)
FILES = {
    "z2.json": '{"zero_optimization": {"stage": 2}}',
    "z3.json": '{"zero_optimization": {"stage": 3}}',
    "broken.json": '{"zero_optimization": {"stage": 2},}',
    "finished/adapter_model.safetensors": "{}",
    "checkpointed/checkpoint-10/trainer_state.json": "{}",
    "adapter/adapter_config.json": "{}",
}


def draw(seed: int, deepspeed: bool, merging: bool) -> dict[str, object]:
    """A random yaml: a sound one with up to five other settings."""
    dice = random.Random(seed)
    base: dict[str, object] = (
        {"model_name_or_path": "model", "template": "qwen2_vl", "export_dir": "merged"}
        if merging
        else TRAIN | {"use_cpu": True}
    )
    pool = {key: values for key, values in POOL.items() if not merging or key in MERGING}
    if merging:
        pool |= {"export_quantization_dataset": ["c4.json"], "infer_dtype": ["bfloat16"]}
    keys = dice.sample(sorted(pool), dice.randint(0, 5))
    chosen = {key: dice.choice(pool[key]) for key in keys}
    if deepspeed:
        chosen["deepspeed"] = dice.choice(DEEPSPEED["deepspeed"])
    return base | chosen


def ask(cases: list[tuple[str, dict[str, object]]], **environment: str) -> list[str | None]:
    """What the real parser says of them."""
    done = subprocess.run(
        [sys.executable, str(ORACLE)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONSAFEPATH": "1"} | environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[str | None] = json.loads(done.stdout.splitlines()[-1])
    return answers


def refusals_of(path: Path) -> list[str]:
    """What we say stops the parser."""
    return [
        f"{item.code} {item.found}"
        for item in check(path).findings
        if item.code in REFUSING and not LATER.match(f"{item.code} {item.found}")
    ]


@pytest.mark.trainer
@pytest.mark.parametrize("mode", ["train", "deepspeed", "export"])
def test_random_yamls_are_judged_as_the_parser_judges(mode: str, project: Project) -> None:
    folder = project(FILES).parent.resolve()
    count = SEEDS if mode == "train" else SEEDS // 3
    cases = [draw(seed, mode == "deepspeed", mode == "export") for seed in range(count)]
    torchrun = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}
    kind = "export" if mode == "export" else "train"
    answers = ask([(kind, case) for case in cases], **(torchrun if mode == "deepspeed" else {}))
    wrong, worded = [], 0
    for case, answer in zip(cases, answers, strict=True):
        (folder / "case.yaml").write_text(yaml.safe_dump(case))
        mine = refusals_of(Path("case.yaml"))
        different = {key: value for key, value in case.items() if TRAIN.get(key) != value}
        if bool(mine) is not bool(answer):
            wrong.append(f"{different}\n   trainer: {answer}\n   here: {mine}")
        known = [refusal.words for refusal in REFUSALS if answer and refusal.words in answer]
        if known:
            worded += 1
            if mine and not any(words in said for words in known for said in mine):
                wrong.append(f"{different}\n   trainer: {answer}\n   here, in other words: {mine}")
    assert worded > count // 10
    assert not wrong, f"{len(wrong)} of {count}\n" + "\n".join(wrong[:15])


@pytest.mark.trainer
def test_the_words_are_the_trainer_s_own() -> None:
    """Each refusal's words stand in the installed llamafactory or transformers."""
    folders = [Path(str(find_spec(name).submodule_search_locations[0])) for name in ("llamafactory", "transformers")]
    sources = [*folders[0].rglob("*.py"), folders[1] / "training_args.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    joined = re.sub(r'"\s*\n\s*f?"', "", text)
    here = installed.trainer()
    assert here is not None
    for refusal in REFUSALS:
        assert (refusal.words in joined) is refusal.made_by(here), refusal.words
    assert all(f'check_version("{bounds}")' in text for bounds in TRAINER_BOUNDS)


@pytest.mark.trainer
def test_optimizers_of_bitsandbytes_are_the_installed_ones() -> None:
    """Values of `optim` that need the package."""
    from transformers import Trainer
    from transformers.training_args import OptimizerNames, TrainingArguments

    needing = set()
    for name in OptimizerNames:
        try:
            Trainer.get_optimizer_cls_and_kwargs(TrainingArguments(output_dir="out", optim=name, report_to=[]))
        except (ImportError, ValueError) as error:
            needing |= {name.value} if "bitsandbytes" in str(error) else set()
    assert needing == BITSANDBYTES


def test_any_values_at_all_are_judged_without_an_exception() -> None:
    """Whatever stands in a yaml, the checks give an answer."""
    values = [None, True, 3, 1.5, "x", "", [], ["a"], {}, {"a": 1}, float("nan"), float("inf"), -1]
    dice = random.Random(3)
    keys = sorted({key for refusal in REFUSALS for key in refusal.keys})
    for _ in range(3000):
        arguments = Arguments({key: dice.choice(values) for key in dice.sample(keys, 12)})
        for refusal in REFUSALS:
            refusal.when(arguments)
            arguments.shown(*refusal.keys)
