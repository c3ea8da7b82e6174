"""A model's answers through its own `chat`: `python -m train.evaluation.by_chat x.yaml`, x.yaml as for a prediction.

For models whose own code llamafactory's predict_with_generate cannot ask: its collator wraps MiniCPM's inputs as
{"data": …, "input_ids": …} (llamafactory 0.9.5, data/collator.py), which the model's `forward` takes and its `generate`
does not, so that it stops with "object of type 'NoneType' has no len()". Here llamafactory reads arguments and rows,
loads tokenizer, base and adapters, samples video and scores, as in a prediction; only the question goes to `chat`. The
two files that a prediction leaves are left here, too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.evaluation.predict import PREDICTIONS, RESULTS
from train.export.answer import fits
from train.own_chat import chat, takes_messages
from train.plugins.launcher import register
from validators.replay.adapter_base import find_folder
from validators.replay.arguments import Arguments
from validators.settings import read_yaml

VISIBLE = ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES")
SLICES = 2
"""Slices of a video's frame (llamafactory 0.9.5, data/mm_plugin.py: MiniCPMVPlugin), which have no image ids."""
SPEAKER = {"user": "user", "observation": "user", "assistant": "assistant", "function": "assistant"}
"""The trainer's roles as chat's."""


def main() -> int:
    """Answer every row of eval_dataset; the last line on stdout says how many."""
    keep_one_device()
    settings = read_yaml(Path(sys.argv[1]))
    register()
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.loader import _get_dataset_processor, _get_merged_dataset
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer
    from transformers import set_seed

    model_args, data_args, training_args, finetuning_args, generating_args = get_train_args(dict(settings))
    set_seed(training_args.seed)
    tokens = load_tokenizer(model_args)
    tokenizer, processor = tokens["tokenizer"], tokens["processor"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    rows = _get_merged_dataset(data_args.eval_dataset, model_args, data_args, training_args, "sft")
    encoder = _get_dataset_processor(data_args, "sft", template, tokenizer, processor, do_generate=True)
    folder = find_folder(str(model_args.model_name_or_path), Arguments(settings))
    if training_args.device.type == "cpu" and folder is not None and not fits(folder):
        raise MemoryError(f"more weights in {folder} than free memory")
    model = load_model(tokenizer, model_args, finetuning_args)
    if not takes_messages(model):
        raise ValueError(f"{type(model).__name__} has no chat(msgs=…)")
    answers, labels = [], []
    for number, row in enumerate(rows):
        system, turns, options = asked(row, template, processor)
        answers.append(chat(model, tokenizer, processor, turns, generating_args.max_new_tokens, system, **options))
        labels.append(label_of(row, encoder, tokenizer))
        sys.stdout.write(f"answered row {number + 1} of {len(rows)}\n")
        sys.stdout.flush()
    write(Path(training_args.output_dir), answers, labels)
    return 0


def keep_one_device() -> None:
    """Show the first accelerator alone: of several, llamafactory would ask for torchrun."""
    for name in VISIBLE:
        os.environ[name] = os.environ.get(name, "0").split(",")[0]


def asked(
    row: Mapping[str, Any],
    template: Any,  # noqa: ANN401 (llamafactory's objects)
    processor: Any,  # noqa: ANN401
) -> tuple[str, list[dict[str, object]], dict[str, object]]:
    """A row as `chat` takes it: the system prompt, the turns up to the last answer, and what its media ask for.

    row: as llamafactory's converter gives it (_prompt, _system, _tools, _images, _videos, _audios).
    """
    system = row["_system"] or template.default_system
    if row["_tools"]:
        system += template.format_tools.apply(content=row["_tools"])[0]
    media, options = opened(row, template.mm_plugin, processor)
    turns: list[dict[str, object]] = [
        {"role": SPEAKER[turn["role"]], "content": parts_of(turn["content"], media)} for turn in row["_prompt"]
    ]
    left = {kind: len(rest) for kind, rest in media.items() if rest}
    if left:
        raise ValueError(f"media without a place in the text: {left}")
    return system, turns, options


def opened(
    row: Mapping[str, Any],
    plugin: Any,  # noqa: ANN401 (llamafactory's objects)
    processor: Any,  # noqa: ANN401
) -> tuple[dict[str, list[list[object]]], dict[str, object]]:
    """A row's media by placeholder, each as the objects that `chat` is shown, and the options that go with them.

    Sizes, the frames of a video and the rate of a sound are llamafactory's, by its own functions and the yaml's keys.
    """
    from llamafactory.extras.constants import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, VIDEO_PLACEHOLDER

    # the defaults of data/mm_plugin.py: MiniCPMVPlugin._get_mm_inputs
    images = plugin._regularize_images(
        row["_images"] or [],
        image_max_pixels=getattr(processor, "image_max_pixels", 768 * 768),
        image_min_pixels=getattr(processor, "image_min_pixels", 32 * 32),
    )["images"]
    audios = plugin._regularize_audios(
        row["_audios"] or [], sampling_rate=getattr(processor, "audio_sampling_rate", 16000)
    )["audios"]
    videos, options = sampled(row["_videos"] or [], plugin, processor)
    media = {
        IMAGE_PLACEHOLDER: [[image] for image in images],
        VIDEO_PLACEHOLDER: videos,
        AUDIO_PLACEHOLDER: [[audio] for audio in audios],
    }
    return media, options


def sampled(
    videos: Sequence[Any],
    plugin: Any,  # noqa: ANN401 (llamafactory's objects)
    processor: Any,  # noqa: ANN401
) -> tuple[list[list[object]], dict[str, object]]:
    """The frames of each video, and chat's options for a row that has any."""
    if not videos:
        return [], {}
    options: dict[str, object] = {"max_slice_nums": SLICES, "use_image_id": False}
    if getattr(processor, "enable_high_fps", False):
        read = [plugin._regularize_one(video, processor) for video in videos]
        packs = [pack for _, packed in read for pack in packed]
        return [list(frames) for frames, _ in read], options | {"temporal_ids": [packs]}
    found = plugin._regularize_videos(
        videos,
        image_max_pixels=getattr(processor, "video_max_pixels", 256 * 256),
        image_min_pixels=getattr(processor, "video_min_pixels", 16 * 16),
        video_fps=getattr(processor, "video_fps", 2.0),
        video_maxlen=getattr(processor, "video_maxlen", 128),
    )["videos"]
    return [list(frames) for frames in found], options


def parts_of(content: str, media: Mapping[str, list[list[object]]]) -> list[object]:
    """A turn's text in parts, each placeholder in it replaced by the next of its media, which are taken away.

    chat puts a line break between parts, so those that stand around a placeholder are left out.
    """
    parts: list[object] = []
    for piece in re.split("(" + "|".join(map(re.escape, media)) + ")", content):
        if media.get(piece):
            parts += media[piece].pop(0)
        elif piece.strip("\n"):
            parts.append(piece.strip("\n"))
    return parts or [content]


def label_of(
    row: Mapping[str, Any],
    encoder: Any,  # noqa: ANN401 (llamafactory's objects)
    tokenizer: Any,  # noqa: ANN401
) -> str:
    """The expected answer as a prediction of llamafactory's has it, after its template and its cut."""
    _, label = encoder._encode_data_example(
        row["_prompt"],
        row["_response"],
        row["_system"],
        row["_tools"],
        row["_images"] or [],
        row["_videos"] or [],
        row["_audios"] or [],
    )
    return str(tokenizer.decode(label, skip_special_tokens=True))


class Texts:
    """Stands for a tokenizer to llamafactory's metric, which turns ids into text: the id is the text's number."""

    pad_token_id = 0

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def batch_decode(self, ids: Sequence[Sequence[int]], **_: object) -> list[str]:
        """The texts of these numbers."""
        return [self.texts[int(each[0])] for each in ids]


def scores(answers: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """BLEU-4 and ROUGE by llamafactory's own metric (0.9.5, train/sft/metric.py: ComputeSimilarity)."""
    import numpy as np
    from llamafactory.train.sft.metric import ComputeSimilarity
    from transformers import EvalPrediction

    numbers = np.arange(len(answers) + len(labels))[:, None]
    given = EvalPrediction(predictions=numbers[: len(answers)], label_ids=numbers[len(answers) :])
    found = ComputeSimilarity(tokenizer=Texts([*answers, *labels]))(given)
    return {f"predict_{name}": float(value) for name, value in found.items()}


def write(out: Path, answers: Sequence[str], labels: Sequence[str]) -> None:
    """The two files of a prediction."""
    out.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps({"prompt": "", "predict": answer, "label": label}, ensure_ascii=False)
        for answer, label in zip(answers, labels, strict=True)
    )
    (out / PREDICTIONS).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (out / RESULTS).write_text(json.dumps(scores(answers, labels), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
