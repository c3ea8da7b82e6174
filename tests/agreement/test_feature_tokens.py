"""The premise of Cut.COUNT, with the real model: a step fails just when a row's feature tokens are not its features."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.oracle import Oracle
from tests.scaffold import TAGS

pytestmark = pytest.mark.trainer
ENTRY = {
    "file_name": "data.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images", "videos": "videos"},
    "tags": TAGS,
}
Ids = list[int]


def turns(question: str, answer: str = "A cat.") -> list[dict[str, str]]:
    """One pair."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


ROWS: dict[str, dict[str, Any]] = {
    "image": {"messages": turns("See <image> and say."), "images": ["dog.jpg"]},
    "late image": {"messages": turns("See.", "<image>"), "images": ["dog.jpg"]},
    "video": {"messages": turns("See <video> and say."), "videos": ["clip.mp4"]},
    "literal": {"messages": turns("See <image> and <|image_pad|>."), "images": ["dog.jpg"]},
    "text": {"messages": turns("Say.")},
    "text with a literal": {"messages": turns("Say <|image_pad|>.")},
    "text with ends": {"messages": turns("Say <|vision_start|> and <|vision_end|>.")},
}


@pytest.fixture(scope="module")
def step(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """One step of the tiny Qwen2-VL on rows, collated by the trainer; its error, or "" when there is a loss."""
    import torch
    from llamafactory.data import MultiModalDataCollatorForSeq2Seq
    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

    from train.tiny import make_tiny

    folder = tmp_path_factory.mktemp("premise")
    (folder / "text.json").write_text(json.dumps([{"messages": turns("What is it? It is a cat.")}]))
    make_tiny(folder / "model", [folder / "text.json"])
    processor = AutoProcessor.from_pretrained(folder / "model", local_files_only=True)
    oracle = Oracle("qwen2_vl", processor, ENTRY, media_dir=str(stock))
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder / "model")
    collator = MultiModalDataCollatorForSeq2Seq(
        template=oracle.template,
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        pad_to_multiple_of=8,
        label_pad_token_id=-100,
    )

    def feature(name: str, length: Callable[[Ids, Callable[[str], int]], int] | None) -> dict[str, Any]:
        row = dict.fromkeys(("images", "videos")) | ROWS[name]
        aligned = {key: [value] for key, value in oracle.converter(row).items()}
        made = {key: values[0] for key, values in oracle.unlimited.preprocess_dataset(aligned).items()}
        if length is not None:
            kept = length(made["input_ids"], processor.tokenizer.convert_tokens_to_ids)
            for key in ("input_ids", "attention_mask", "labels"):
                made[key] = made[key][:kept]
        return made

    def run(*rows: tuple[str, Callable[[Ids, Callable[[str], int]], int] | None]) -> str:
        try:
            with torch.no_grad():
                model(**collator([feature(*row) for row in rows]))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return run


def before_last(token: str, back: int = 0) -> Callable[[Ids, Callable[[str], int]], int]:
    """Cut so that the last such token, and `back` tokens before it, are gone."""
    return lambda ids, id_of: len(ids) - 1 - ids[::-1].index(id_of(token)) - back


@pytest.mark.parametrize(
    ("rows", "fails"),
    [
        ([("image", None)], False),
        ([("video", None)], False),
        ([("image", before_last("<|image_pad|>"))], True),
        ([("image", before_last("<|image_pad|>", 17))], True),
        ([("late image", before_last("<|vision_start|>"))], True),
        ([("video", before_last("<|video_pad|>", 3))], True),
        ([("image", before_last("<|vision_end|>"))], False),
        ([("video", before_last("<|vision_end|>"))], False),
        ([("literal", None)], True),
        ([("text", None)], False),
        ([("text with a literal", None)], True),
        ([("text with ends", None)], False),
        ([("image", None), ("text", None), ("video", None)], False),
        ([("image", None), ("text with a literal", None)], True),
        ([("image", None), ("image", before_last("<|image_pad|>"))], True),
    ],
)
def test_a_step_fails_just_when_feature_tokens_are_not_the_features(
    rows: list[tuple[str, Any]], fails: bool, step: Callable[..., str]
) -> None:
    """Cut or surplus feature tokens stop the step; a lost <|vision_end|> or a row of text does not."""
    error = step(*rows)
    assert bool(error) is fails, error
