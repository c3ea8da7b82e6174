"""The real llamafactory, driven row by row: what it does is the truth that predictions are held against.

Loader, converter, template, mm plugin, SupervisedDatasetProcessor and collator are the installed package's own, as is
Qwen2-VL's processor and model. Only MiniCPM's processor and its use of the bounds stand in (minicpm_processor.py).
"""

from __future__ import annotations

import copy
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agreement import minicpm_processor
from tests.agreement.viewer import clip_altered, picture_altered
from validators.model import Outcome
from validators.settings import FORK_KEYS, TrainerSettings

LIMITS = {
    "image_max_pixels": 768 * 768,
    "image_min_pixels": 32 * 32,
    "video_max_pixels": 256 * 256,
    "video_min_pixels": 16 * 16,
    "video_fps": 2.0,
    "video_maxlen": 128,
    "audio_sampling_rate": 16000,
} | {key: getattr(TrainerSettings(), key) for key in FORK_KEYS}
"""The trainer sets these on the processor (model/patcher.py: patch_processor); defaults of hparams/model_args.py, and
of the high-fps plugin, without which nobody reads its keys."""
SAMPLE = 6  # of rows that cannot fail in a step by their form, one in so many is tried there nonetheless


@dataclass(frozen=True)
class Truth:
    """What the trainer did with a row; tokens and supervised tokens after truncation, where it got so far."""

    outcome: Outcome
    tokens: int | None = None
    supervised: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Family:
    """A model as the oracle can run it: its folder, processor, and the network where there is one."""

    name: str
    template: str
    folder: Path
    processor: Any
    model: Any = None
    """Without a network, places and features of Qwen2-VL are only counted (`places`)."""
    every: int = SAMPLE
    """One row in so many is run through the network although it cannot fail by its form."""


def places(batch: Any, processor: Any) -> None:
    """Raise where Qwen2-VL would: as many pad tokens as features (transformers, get_placeholder_mask)."""
    merged = processor.image_processor.merge_size**2
    for token, grid in (("<|image_pad|>", "image_grid_thw"), ("<|video_pad|>", "video_grid_thw")):
        found = int((batch["input_ids"] == processor.tokenizer.convert_tokens_to_ids(token)).sum())
        features = int(batch[grid].prod(-1).sum()) // merged if grid in batch else None
        if features is not None and found != features:
            raise ValueError(f"{found} {token} for {features} features")


def said(error: BaseException) -> str:
    """An error in one line; of one that only wraps another, the other."""
    error = error.__cause__ if type(error).__name__ == "DatasetGenerationError" and error.__cause__ else error
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]


def make_family(name: str, folder: Path, texts: list[str]) -> Family:
    """`qwen2_vl` (the tiny model of train/tiny.py, real in all but size) or one of minicpm_processor.VERSIONS.

    Saves its files to `folder` unless they are there.
    """
    quiet()
    if name == "qwen2_vl":
        import json

        from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

        from train.tiny import make_tiny

        file = folder.parent / "tiny_text.json"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = [{"messages": [{"role": "user", "content": text}]} for text in texts]
            file.write_text(json.dumps(rows), encoding="utf-8")
            make_tiny(folder, [file])
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model = Qwen2VLForConditionalGeneration.from_pretrained(folder, local_files_only=True).train()
        return Family(name, "qwen2_vl", folder, processor, model)
    version = minicpm_processor.VERSIONS[name]
    if not (folder / "tokenizer.json").is_file():
        minicpm_processor.save_model_folder(folder, version, texts)
    processor = minicpm_processor.load_processor(folder, version)
    return Family(name, "minicpm_o" if name.startswith("o") else "minicpm_v", folder, processor)


def quiet() -> None:
    """The trainer's libraries without their messages, and on one thread."""
    import os

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import av
    import datasets
    import torch
    import transformers

    torch.set_num_threads(1)
    av.logging.set_level(None)
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity(logging.CRITICAL)
    transformers.utils.logging.set_verbosity_error()
    from llamafactory.extras import logging as trainer_logging

    # not by LLAMAFACTORY_VERBOSITY, which the trainings that other tests start would inherit
    trainer_logging.get_logger()  # the first call sets the level
    logging.getLogger(trainer_logging.__name__.split(".")[0]).setLevel(logging.CRITICAL)


class Oracle:
    """One family under one set of settings, for the datasets of one folder (which holds dataset_info.json)."""

    def __init__(self, family: Family, folder: Path, settings: dict[str, Any]) -> None:
        from llamafactory.data import template as templates
        from llamafactory.data.collator import MultiModalDataCollatorForSeq2Seq
        from llamafactory.data.processor import SupervisedDatasetProcessor
        from llamafactory.extras.constants import IGNORE_INDEX
        from llamafactory.hparams import DataArguments

        self.family, self.folder = family, folder
        self.limits = LIMITS | {key: value for key, value in settings.items() if key in LIMITS}
        processor = family.processor
        for name, value in self.limits.items():
            setattr(processor, name, value)
        plain = {key: value for key, value in settings.items() if key not in LIMITS}
        self.arguments = DataArguments(template=family.template, dataset_dir=str(folder), **plain)
        # a default_system would stay in the trainer's table of templates and reach the next oracle
        pristine = copy.deepcopy(templates.TEMPLATES[family.template])
        self.template = templates.get_template_and_fix_tokenizer(processor.tokenizer, self.arguments)
        templates.TEMPLATES[family.template] = pristine
        self.encoded: list[tuple[list[int], list[int]]] = []
        encode = self.template.encode_multiturn

        def recorded(*args: Any, **kwargs: Any) -> list[tuple[list[int], list[int]]]:
            self.encoded = encode(*args, **kwargs)
            return self.encoded

        self.template.encode_multiturn = recorded
        self.supervise = SupervisedDatasetProcessor(
            template=self.template, tokenizer=processor.tokenizer, processor=processor, data_args=self.arguments
        )
        self.collate = MultiModalDataCollatorForSeq2Seq(
            template=self.template,
            model=family.model,
            processor=processor,
            tokenizer=processor.tokenizer,
            label_pad_token_id=IGNORE_INDEX,
            pad_to_multiple_of=8,
        )
        self.tried = 0

    def load(self, name: str) -> tuple[list[dict[str, Any]] | None, str]:
        """The dataset's rows as Arrow gives them to the converter; None and the error when the file does not load."""
        from llamafactory.data import loader
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.parser import get_dataset_list
        from llamafactory.hparams import ModelArguments
        from transformers import Seq2SeqTrainingArguments

        cache = self.folder / ".cache"
        # stop before align_dataset, which would stop at the first bad row
        align = loader.align_dataset
        loader.align_dataset = lambda dataset, *_: dataset
        try:
            (attributes,) = get_dataset_list([name], str(self.folder))
            model_args = ModelArguments(model_name_or_path=str(self.family.folder), cache_dir=str(cache))
            training = Seq2SeqTrainingArguments(output_dir=str(self.folder / "out"), report_to=[], use_cpu=True)
            dataset = loader._load_single_dataset(attributes, model_args, self.arguments, training)
            self.converter = get_dataset_converter(attributes.formatting, attributes, self.arguments)
            return list(dataset), ""
        except Exception as error:
            return None, said(error)
        finally:
            loader.align_dataset = align
            shutil.rmtree(cache, ignore_errors=True)

    def judge_all(self, name: str) -> list[Truth] | str:
        """The truth of each row of a dataset; a message when the whole file fails."""
        rows, error = self.load(name)
        return error if rows is None else [self.judge(row) for row in rows]

    def judge(self, example: dict[str, Any]) -> Truth:
        """Run one loaded example through converter, processor, collator and model."""
        try:
            row = self.converter(example)
            kept = self.supervise.preprocess_dataset({key: [value] for key, value in row.items()})
        except Exception as error:
            return Truth(Outcome.CRASH_LOAD, error=said(error))
        if not kept["input_ids"]:
            return Truth(Outcome.DROPPED)
        tokens, labels = kept["input_ids"][0], kept["labels"][0]
        supervised = sum(label != -100 for label in labels)
        whole = sum(len(source) + len(target) for source, target in self.encoded) + self.template.efficient_eos
        cut = len(tokens) < whole
        if self.is_doubtful(row, cut):
            try:
                self.step({key: value[0] for key, value in kept.items()})
            except Exception as error:
                return Truth(Outcome.CRASH_STEP, len(tokens), supervised, said(error))
        outcome = Outcome.TRUNCATED if cut else Outcome.ALTERED if self.is_altered(row) else Outcome.TRAINED
        return Truth(outcome, len(tokens), supervised)

    def is_doubtful(self, row: dict[str, Any], cut: bool) -> bool:
        """Whether a step must be run to know its end.

        Without a network it is cheap: always. The network runs for cut rows, videos and
        literal special tokens, and for a sample of the rest, which cannot fail by their form.
        """
        self.tried += 1
        if self.family.model is None or cut or row["_videos"] or self.tried % self.family.every == 0:
            return True
        texts = [message["content"] for message in row["_prompt"] + row["_response"]]
        return any("<|" in text for text in (*texts, row["_system"], self.template.default_system) if text)

    def step(self, feature: dict[str, Any]) -> None:
        """Collate a batch of one and run the model on it, as far as the media's places in the text matter."""
        import torch

        batch = self.collate([copy.deepcopy(feature)])
        if isinstance(self.family.processor, minicpm_processor.MiniCPMProcessor):
            minicpm_processor.embed(dict(batch["data"]), self.family.processor)
            return
        if self.family.model is None:
            places(batch, self.family.processor)
            return
        with torch.no_grad():
            self.family.model(**batch)

    def is_altered(self, row: dict[str, Any]) -> bool:
        """Whether a medium of the row trains otherwise than it is seen."""
        videos = row["_videos"] or []
        frames = [frame for video in videos if isinstance(video, list) for frame in video]
        clips = [video for video in videos if isinstance(video, str)]
        if any(clip_altered(clip, self.limits["video_maxlen"]) for clip in clips):
            return True
        limits = self.limits["image_max_pixels"], self.limits["image_min_pixels"]
        if any(picture_altered(path, *limits) for path in row["_images"] or []):
            return True
        limits = self.limits["video_max_pixels"], self.limits["video_min_pixels"]
        return any(picture_altered(frame, *limits) for frame in frames)

    def edges(self, example: dict[str, Any]) -> list[int]:
        """Token positions where something ends in a row that is not cut: turns, media blocks, the row itself."""
        row = self.converter(example)
        self.supervise.preprocess_dataset({key: [value] for key, value in row.items()})
        tokenizer = self.family.processor.tokenizer
        names = ("<|vision_start|>", "<|vision_end|>", "<image>", "</image>", "<slice>", "</slice>")
        names += ("<|audio_start|>", "<|audio_end|>", "<|im_end|>")
        marks = {tokenizer.convert_tokens_to_ids(name) for name in names} - {None, tokenizer.unk_token_id}
        ids = [token for pair in self.encoded for part in pair for token in part]
        return [at for at, token in enumerate(ids) if token in marks] + [len(ids)]
