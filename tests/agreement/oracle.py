"""The real llamafactory, driven row by row: what it does is the truth that predictions are held against.

Converter, template, mm plugin and SupervisedDatasetProcessor are the installed package's own. For MiniCPM, whose
processors are remote code that cannot be had here, a processor stands in that writes out the published placeholders as
text (image_processing_minicpmv.py and processing_minicpmo.py); LLaMA-Factory's MiniCPMVPlugin itself is real.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validators.model import Outcome


@dataclass(frozen=True)
class Truth:
    """What the trainer did with a row."""

    outcome: Outcome
    tokens: int | None = None
    supervised: int | None = None
    error: str = ""


class Oracle:
    """One template, one processor, one set of settings."""

    def __init__(self, template: str, processor: Any, entry: dict[str, Any], **settings: Any) -> None:
        from llamafactory.data.converter import get_dataset_converter
        from llamafactory.data.parser import DatasetAttr
        from llamafactory.data.processor import SupervisedDatasetProcessor
        from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
        from llamafactory.hparams import DataArguments

        self.processor = processor
        for name in [key for key in settings if key.startswith(("image_", "video_", "audio_"))]:
            setattr(processor, name, settings.pop(name))
        arguments = DataArguments(template=template, **settings)
        unlimited = DataArguments(template=template, **(settings | {"cutoff_len": 1_000_000}))
        registered = TEMPLATES[template]
        TEMPLATES[template] = copy.deepcopy(registered)  # a run writes its default_system into the template
        self.template = get_template_and_fix_tokenizer(processor.tokenizer, arguments)
        TEMPLATES[template] = registered
        attributes = DatasetAttr("file", dataset_name="data.json")
        attributes.join(entry)
        self.converter = get_dataset_converter("sharegpt", attributes, arguments)
        self.columns = [attributes.images, attributes.videos, attributes.audios]
        make = SupervisedDatasetProcessor
        self.limited, self.unlimited = (
            make(template=self.template, tokenizer=processor.tokenizer, processor=processor, data_args=data)
            for data in (arguments, unlimited)
        )
        marks = ("<|image_pad|>", "<|video_pad|>", "<unk>")
        self.marks = {processor.tokenizer.convert_tokens_to_ids(mark) for mark in marks} - {None}

    def judge(self, row: dict[str, Any]) -> Truth:
        """Run one row through converter and processor, with the limit and without it."""
        # Arrow fills columns that only some rows have with None
        row = {column: None for column in self.columns if column} | row
        try:
            aligned = {key: [value] for key, value in self.converter(row).items()}
            kept = self.limited.preprocess_dataset(aligned)
            whole = self.unlimited.preprocess_dataset(aligned)
        except Exception as error:
            return Truth(Outcome.CRASH_LOAD, error=f"{type(error).__name__}: {error}"[:200])
        if not kept["input_ids"]:
            return Truth(Outcome.DROPPED)
        tokens, all_tokens = kept["input_ids"][0], whole["input_ids"][0]
        supervised = sum(label != -100 for label in kept["labels"][0])
        outcome = Outcome.TRAINED
        if len(tokens) < len(all_tokens):
            media = [sum(token in self.marks for token in ids) for ids in (tokens, all_tokens)]
            outcome = Outcome.TRUNCATED if media[0] == media[1] else Outcome.CRASH_STEP
        return Truth(outcome, len(tokens), supervised)


def qwen_processor(folder: Path) -> Any:
    """The real Qwen2VLProcessor of a tiny model folder."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder, local_files_only=True)


class MiniCPMImages:
    """The published placeholders and slicing of image_processing_minicpmv.py, as text."""

    max_slice_nums, scale, use_image_id, model_input_names = 9, 448, True, ["pixel_values"]

    def __call__(self, images: list[Any], **_: Any) -> dict[str, Any]:
        """Sizes as the plugin reads them: a list for each sample, or for each video."""
        nested = images if images and isinstance(images[0], list) else [images]
        for group in nested:
            for image in group:
                image.load()  # the published processor turns every picture into pixels
        return {"image_sizes": [[image.size for image in group] for group in nested]}

    def grid(self, size: tuple[int, int], most: int) -> list[int] | None:
        """get_sliced_grid."""
        width, height = size
        ratio = math.log(width / height)
        multiple = min(math.ceil(width * height / self.scale**2), most)
        if multiple <= 1:
            return None
        counts = [number for number in (multiple - 1, multiple, multiple + 1) if number != 1 and number <= most]
        grids = [[m, n // m] for n in counts for m in range(1, n + 1) if n % m == 0]
        best, least = [1, 1], float("inf")
        for grid in grids:
            error = abs(ratio - math.log(grid[0] / grid[1]))
            if error < least:
                best, least = grid, error
        return best

    def get_slice_image_placeholder(self, size: tuple[int, int], index: int, most: int, use_id: bool) -> str:
        """One image's text."""
        text = (f"<image_id>{index}</image_id>" if use_id else "") + "<image>" + "<unk>" * 64 + "</image>"
        grid = self.grid(size, most)
        if grid is not None:
            line = ("<slice>" + "<unk>" * 64 + "</slice>") * grid[0]
            text += "\n".join([line] * grid[1])
        return text


class MiniCPMProcessor:
    """What MiniCPMVPlugin asks of a processor."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.image_processor = MiniCPMImages()
        self.feature_extractor = object()

    def audio_feature_extract(self, audios: list[list[Any]], chunk_input: bool, sampling_rate: int) -> Any:
        """processing_minicpmo.py of 2.6: a placeholder of chunks for each sound."""

        def frames(count: int) -> int:
            return ((count - 1) // 2 + 1 - 2) // 2 + 1

        def placeholder(samples: int) -> str:
            total, step, text = frames(math.ceil(samples / 160)), frames(100), ""
            for chunk in range((total + step - 1) // step):
                text += "<|audio_start|>" + "<unk>" * min(step, total - chunk * step) + "<|audio_end|>"
            return text

        texts = [[placeholder(len(audio)) for audio in group] for group in audios]
        return [], [], texts


def minicpm_processor(folder: Path) -> Any:
    """The stand-in over a tokenizer folder."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    return MiniCPMProcessor(tokenizer)
