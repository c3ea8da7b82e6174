"""What the installed llamafactory makes of a dataset: printed as JSON, one item a row. Run as a process."""

from __future__ import annotations

import hashlib
import json
import sys

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.data.loader import _get_merged_dataset
from llamafactory.data.mm_plugin import MMPluginMixin
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

SETTINGS = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "template": "qwen2_vl",
    "cutoff_len": 2048,
    "image_max_pixels": 50176,
    "video_max_pixels": 16384,
    "video_maxlen": 4,
    "overwrite_cache": True,
    "report_to": "none",
    "use_cpu": True,
}


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"|".join(parts)).hexdigest()


def tokenized(settings: dict[str, str]) -> list[list[str]]:
    """Rows as they go into the model: tokens, labels and pixels."""
    model_args, data_args, training_args, _, _ = get_train_args(SETTINGS | settings)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    found = []
    for row in rows:
        images, videos = row["images"] or [], row["videos"] or []
        inputs = template.mm_plugin._get_mm_inputs(images, videos, [], module["processor"])
        pixels = [inputs[name].numpy().tobytes() for name in sorted(inputs) if name.startswith("pixel_values")]
        found.append([digest(json.dumps(row[key]).encode()) for key in ("input_ids", "labels")] + [digest(*pixels)])
    return found


def heard(settings: dict[str, str]) -> list[list[str]]:
    """Rows as they leave the converter, with their audio as the plugin decodes it."""
    model_args, data_args, training_args, _, _ = get_train_args(SETTINGS | settings)
    rows = _get_merged_dataset(data_args.dataset, model_args, data_args, training_args, "sft")
    found = []
    for row in rows:
        waves = MMPluginMixin(None, None, "<audio>")._regularize_audios(row["_audios"] or [], 16000)["audios"]
        words = json.dumps([row["_prompt"], row["_response"]]).encode()
        found.append([digest(words), digest(*(wave.tobytes() for wave in waves))])
    return found


def refused_videos(parquet: str) -> list[str]:
    """What the plugin says to each video of a parquet file."""
    from datasets import load_dataset

    said = []
    for row in load_dataset("parquet", data_files=parquet, split="train"):
        for video in [*row["videos"], *(item["bytes"] for item in row["videos"])]:
            try:
                MMPluginMixin(None, "<video>", None)._regularize_videos(
                    [video], image_max_pixels=16384, image_min_pixels=256, video_fps=2.0, video_maxlen=4
                )
            except Exception as error:
                said.append(type(error).__name__)
            else:
                said.append("")
    return said


if __name__ == "__main__":
    verb, argument = sys.argv[1:]
    verbs = {"tokenized": tokenized, "heard": heard}
    out = refused_videos(argument) if verb == "refused_videos" else verbs[verb](json.loads(argument))
    sys.stdout.write("\n" + json.dumps(out) + "\n")
