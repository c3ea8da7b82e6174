"""One model's answers to a sample, by llamafactory's own prediction or the model's own chat, and the former's metrics.

llamafactory 0.9.5, train/sft: predict_with_generate writes generated_predictions.jsonl and predict_results.json
(workflow.py, trainer.py: save_predictions) and scores BLEU-4 and ROUGE with nltk, jieba and rouge-chinese (metric.py);
none of the three fetches data for it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from train import trainer
from validators.budgets.templates import Template
from validators.budgets.text import read_config
from validators.errors import UsageFault
from validators.replay.adapter_base import CONFIG, find_folder
from validators.replay.arguments import Arguments

PREDICTIONS, RESULTS = "generated_predictions.jsonl", "predict_results.json"
TRAINING_ONLY = frozenset({
    "dataset", "eval_dataset", "dataset_dir", "val_size", "max_samples", "tokenized_path", "streaming", "packing",
    "neat_packing", "mix_strategy", "interleave_probs", "eval_on_each_dataset", "preprocessing_num_workers",
    "do_train", "do_eval", "deepspeed", "fsdp", "fsdp_config", "resume_from_checkpoint", "overwrite_output_dir",
    "output_dir", "plot_loss", "compute_accuracy", "push_to_hub", "load_best_model_at_end", "eval_strategy",
    "eval_steps", "save_strategy", "save_steps", "group_by_length", "length_column_name", "train_sampling_strategy",
    "use_swanlab", "report_to", "max_steps", "adapter_name_or_path", "create_new_adapter", "gradient_checkpointing",
    "include_effective_tokens_per_second", "use_galore", "use_apollo", "use_badam", "use_unsloth", "pissa_init",
})  # fmt: skip
"""Keys of a training that say nothing of a model's answers, or that the trainer refuses beside a prediction."""
OWN_CHAT_PLUGIN = "MiniCPMVPlugin"
CHAT_METHOD = re.compile(r"^\s+def chat\(\s*self\b[^)]*\bmsgs\b", re.MULTILINE)
CUT = 2000
"""Characters of the trainer's last words that a fault shows."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's answers, one a row, and its metrics; `fault` where it gave none."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """The answers as the trainer has them, after its template and its cut."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    asked: str = ""
    """What the question went to."""


class Asking(Enum):
    """What a model is asked by."""

    PREDICT = "llamafactory's predict_with_generate"
    CHAT = "the model's own chat"


def asking_of(file: Path, settings: Mapping[str, object], template: Template | None) -> Asking:
    """What the models of a training can be asked by; UsageFault, before anything is loaded, where it is by nothing.

    MiniCPM's own code cannot be asked by a prediction (by_chat.py says why), so its `chat` is.
    """
    if template is None or template.plugin != OWN_CHAT_PLUGIN:
        return Asking.PREDICT
    model = str(settings.get("model_name_or_path"))
    folder = find_folder(model, Arguments(settings))
    if folder is not None and "auto_map" not in read_config(folder / CONFIG):
        return Asking.PREDICT
    if not Arguments(settings).on("trust_remote_code"):
        raise UsageFault(
            file,
            f"{model} is asked through code of its own, and nothing says that it is trusted",
            "trust_remote_code: true",
        )
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("*.py")] if folder else []
    if texts and not any(CHAT_METHOD.search(text) for text in texts):
        raise UsageFault(
            folder or model,
            "no chat(…, msgs, …) in its code",
            "a model that answers: llamafactory's prediction cannot ask MiniCPM's own code",
            "merge the adapter, and ask the merged model by other means",
        )
    return Asking.CHAT


def base_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """The model as it was before the training: the base, with the adapter that the training went on from, if any."""
    found = {key: value for key, value in settings.items() if key not in TRAINING_ONLY}
    adapters = adapters_of(settings)
    return found | ({"adapter_name_or_path": ",".join(adapters)} if adapters else {})


def tuned_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """The model as the training left it in output_dir.

    A training that goes on from adapters merges all but the last into the base, and goes on with that one or, with
    create_new_adapter, merges it too (llamafactory 0.9.5, model/adapter.py: _setup_lora_tuning).
    """
    found = {key: value for key, value in settings.items() if key not in TRAINING_ONLY}
    out = str(settings["output_dir"])
    if settings.get("finetuning_type", "lora") != "lora":
        return found | {"model_name_or_path": out}
    adapters = adapters_of(settings)
    before = adapters if settings.get("create_new_adapter") else adapters[:-1]
    return found | {"adapter_name_or_path": ",".join([*before, out])}


def adapters_of(settings: Mapping[str, object]) -> list[str]:
    """The adapters that a training goes on from."""
    given = settings.get("adapter_name_or_path")
    names = given if isinstance(given, list) else str(given or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def prediction(
    model: Mapping[str, object], names: list[str], folder: Path, media_dir: str, out: Path, most: int, seed: int
) -> dict[str, object]:
    """A yaml for the answers: greedy, so that they are the same each time."""
    return {
        "per_device_eval_batch_size": 1,
        **model,
        "stage": "sft",
        "do_train": False,
        "do_predict": True,
        "predict_with_generate": True,
        "eval_dataset": ",".join(names),
        "dataset_dir": str(folder),
        "media_dir": media_dir,
        "overwrite_cache": True,
        "output_dir": str(out),
        "do_sample": False,
        "max_new_tokens": most,
        "seed": seed,
        "report_to": "none",
    }


def predict(settings: Mapping[str, object], file: Path, rows: int, asking: Asking = Asking.PREDICT) -> Answers:
    """Run the trainer on a yaml that `prediction` made, written to `file`; Answers with a fault where it fails."""
    file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    if asking is Asking.CHAT:
        program = [sys.executable, "-P", "-m", "train.evaluation.by_chat"]
        outcome = trainer.run([str(file)], settings, program=program)
    else:
        outcome = trainer.run(["train", str(file)], settings)
    if outcome.code != 0:
        name = "llamafactory-cli train" if asking is Asking.PREDICT else asking.value
        return Answers(fault=f"{name} ended with {outcome.code}: {outcome.last_error()}"[:CUT])
    return replace(read_answers(Path(str(settings["output_dir"])), rows), asked=asking.value)


def read_answers(out: Path, rows: int) -> Answers:
    """What the trainer wrote; a fault where the answers are not one for each row."""
    try:
        lines = (out / PREDICTIONS).read_text(encoding="utf-8").split("\n")
        found = [json.loads(line) for line in lines if line]
        metrics = json.loads((out / RESULTS).read_text(encoding="utf-8"))
        texts = tuple(str(each["predict"]) for each in found)
        labels = tuple(str(each["label"]) for each in found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Answers(fault=f"the trainer left no readable {PREDICTIONS} and {RESULTS}: {error}"[:CUT])
    if len(found) != rows:
        return Answers(fault=f"{len(found)} answers to {rows} rows: the trainer dropped some")
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    return Answers(texts, labels, numbers)


def refuse_untrained(settings: Mapping[str, object]) -> None:
    """UsageFault where output_dir holds no adapter or model."""
    out = Path(str(settings["output_dir"]))
    lora = settings.get("finetuning_type", "lora") == "lora"
    if not (out / ("adapter_config.json" if lora else "config.json")).is_file():
        raise UsageFault(out, f"no trained {'adapter' if lora else 'model'}", "a finished run", "`curate train` first")
