"""What a cut does to a step, with the real collator and tiny models of the real classes: the premise of Cut.COUNT.

Two families differ in a part. With Qwen-Omni the collator's rope index also wants the end token of every unit, and
sounds are not counted by the model: a sound that is lost whole, start and end too, trains without it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.processors import glm4v, qwen2_audio, qwen2_omni, qwen3_vl
from tests.installed import installed_trainer, major_transformers
from tests.scaffold import TAGS, make_tone
from validators.budgets import qwen2_audio as qwen2_audio_family
from validators.budgets import qwen2_omni as qwen2_omni_family
from validators.budgets import qwen2_vl as qwen2_vl_family
from validators.budgets import qwen3_vl as qwen3_vl_family
from validators.budgets.families import processor_configs
from validators.budgets.family import Block, Literal, Placed
from validators.model import MediaKind
from validators.probes.audio import probe_audio
from validators.probes.facts import Health, MediaFacts
from validators.settings import TrainerSettings

pytestmark = [pytest.mark.trainer, pytest.mark.usefixtures("one_thread")]
ENTRY = {
    "file_name": "data.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images", "videos": "videos", "audios": "audios"},
    "tags": TAGS,
}
Row = dict[str, Any]
Features = dict[str, Any]


def turns(question: str, answer: str = "A cat.") -> list[dict[str, str]]:
    """One pair."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


IMAGE: Row = {"messages": turns("See <image> and say."), "images": ["dog.jpg"]}
VIDEO: Row = {"messages": turns("See <video> and say."), "videos": ["clip.mp4"]}
AUDIO: Row = {"messages": turns("Hear <audio> and say."), "audios": ["tone.wav"]}
WOVEN: Row = {"messages": turns("See <video><audio>."), "videos": ["clip.mp4"], "audios": ["tone.wav"]}


@dataclass(frozen=True)
class Trainer:
    """The real converter, preprocessing, collator and model around one processor."""

    converter: Any
    preprocessor: Any
    collator: Any
    model: Any

    def feature(self, row: Row, last: str | None = None, back: int = 0) -> Features:
        """A row as the collator gets it, cut before the last token of that name and `back` tokens earlier."""
        whole = dict.fromkeys(("images", "videos", "audios")) | row
        aligned = {key: [value] for key, value in self.converter(whole).items()}
        made = {key: values[0] for key, values in self.preprocessor.preprocess_dataset(aligned).items()}
        if last is not None:
            number = self.preprocessor.tokenizer.convert_tokens_to_ids(last)
            kept = len(made["input_ids"]) - 1 - made["input_ids"][::-1].index(number) - back
            for key in ("input_ids", "attention_mask", "labels"):
                made[key] = made[key][:kept]
        return made

    def step(self, *features: Features) -> str:
        """The error of one step, "" when it gives a loss."""
        import torch

        try:
            with torch.no_grad():
                self.model(**self.collator([*features]))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""


def trainer(template: str, processor: Any, model: Any, media: Path) -> Trainer:
    """Everything that a step needs."""
    from llamafactory.data import MultiModalDataCollatorForSeq2Seq
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    arguments = DataArguments(template=template, cutoff_len=1_000_000, media_dir=str(media))
    attributes = DatasetAttr("file", dataset_name="data.json")
    attributes.join(ENTRY)
    registered = copy.deepcopy(TEMPLATES[template])
    try:
        fixed = get_template_and_fix_tokenizer(processor.tokenizer, arguments)
    finally:  # reasoning templates are changed in place
        TEMPLATES[template] = registered
    preprocessor = SupervisedDatasetProcessor(
        template=fixed, tokenizer=processor.tokenizer, processor=processor, data_args=arguments
    )
    collator = MultiModalDataCollatorForSeq2Seq(
        template=fixed,
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        pad_to_multiple_of=8,
        label_pad_token_id=-100,
    )
    return Trainer(get_dataset_converter("sharegpt", attributes, arguments), preprocessor, collator, model)


@pytest.fixture(scope="module")
def qwen2(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """The tiny Qwen2-VL of the demo."""
    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

    from train.tiny import make_tiny

    folder = tmp_path_factory.mktemp("premise")
    (folder / "text.json").write_text(json.dumps([{"messages": turns("What is it? It is a cat.")}]))
    make_tiny(folder / "model", [folder / "text.json"])
    processor = AutoProcessor.from_pretrained(folder / "model", local_files_only=True)
    return trainer("qwen2_vl", processor, Qwen2VLForConditionalGeneration.from_pretrained(folder / "model"), stock)


def test_qwen2_vl_fails_just_when_feature_tokens_are_not_the_features(qwen2: Trainer) -> None:
    """Cut or surplus feature tokens stop the step; a lost <|vision_end|> or a row of text does not."""
    late = {"messages": turns("See.", "<image>"), "images": ["dog.jpg"]}
    literal = {"messages": turns("See <image> and <|image_pad|>."), "images": ["dog.jpg"]}
    text = {"messages": turns("Say.")}
    text_literal = {"messages": turns("Say <|image_pad|>.")}
    text_ends = {"messages": turns("Say <|vision_start|> and <|vision_end|>.")}
    feature = qwen2.feature
    good = [
        [feature(IMAGE)],
        [feature(VIDEO)],
        [feature(IMAGE, "<|vision_end|>")],
        [feature(VIDEO, "<|vision_end|>")],
        [feature(text)],
        [feature(text_ends)],
        [feature(IMAGE), feature(text), feature(VIDEO)],
    ]
    bad = [
        [feature(IMAGE, "<|image_pad|>")],
        [feature(IMAGE, "<|image_pad|>", 17)],
        [feature(late, "<|vision_start|>")],
        [feature(VIDEO, "<|video_pad|>", 3)],
        [feature(literal)],
        [feature(text_literal)],
        [feature(IMAGE), feature(text_literal)],
        [feature(IMAGE), feature(IMAGE, "<|image_pad|>")],
    ]
    assert [qwen2.step(*batch) for batch in good] == [""] * len(good)
    assert all(qwen2.step(*batch) for batch in bad)


@dataclass(frozen=True)
class Case:
    """A unit of a family: the row that has it, its start, feature and end tokens, and which cuts stop the step.

    Cuts: "whole" none, "inside" one feature token and all after it, "start" all but the start, "end" the end alone,
    "gone" the whole unit, "surplus" none but a literal feature token in the text.
    """

    name: str
    template: str
    processor: Callable[[Path], Any]
    model: Callable[[Any], Any]
    row: Row
    tokens: tuple[str, str, str]
    stops: set[str]
    woven: bool = False


COUNTED = {"inside", "start", "gone", "surplus"}
OLD_VISION, NEW_VISION = ("<|vision_bos|>", "<|vision_eos|>"), ("<|vision_start|>", "<|vision_end|>")
CASES = [
    Case(
        "qwen3_vl-image",
        "qwen3_vl_nothink",
        qwen3_vl.processor,
        qwen3_vl.model,
        IMAGE,
        ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>"),
        COUNTED,
    ),
    Case(
        "qwen3_vl-video",
        "qwen3_vl_nothink",
        qwen3_vl.processor,
        qwen3_vl.model,
        VIDEO,
        ("<|vision_start|>", "<|video_pad|>", "<|vision_end|>"),
        COUNTED,
    ),
    Case(
        "glm4v-image",
        "glm_ocr",
        glm4v.processor,
        glm4v.model,
        IMAGE,
        ("<|begin_of_image|>", "<|image|>", "<|end_of_image|>"),
        # transformers 4 has no place for the position ids of text that the trainer puts before Qwen's three
        COUNTED | ({"whole", "end", "text"} if major_transformers() == 4 else set()),
    ),
    Case(
        "qwen2_audio",
        "qwen2_audio",
        qwen2_audio.processor,
        qwen2_audio.model,
        AUDIO,
        ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"),
        COUNTED,
    ),
]
for name, template, processor, model, names in (
    ("qwen2_5_omni", "qwen2_omni", qwen2_omni.processor, qwen2_omni.model, qwen2_omni.OLD),
    ("qwen3_omni", "qwen3_omni_nothink", qwen2_omni.qwen3, qwen2_omni.qwen3_model, qwen2_omni.NEW),
):
    vision = [names["vision_bos_token"], names["vision_eos_token"]]
    audio = (names["audio_bos_token"], names["audio_token"], names["audio_eos_token"])
    image, video = ((vision[0], names[f"{kind}_token"], vision[1]) for kind in ("image", "video"))
    CASES += [
        Case(f"{name}-image", template, processor, model, IMAGE, image, COUNTED | {"end"}),
        Case(f"{name}-video", template, processor, model, VIDEO, video, COUNTED | {"end"}),
        Case(f"{name}-audio", template, processor, model, AUDIO, audio, {"inside", "start", "end", "surplus"}),
        Case(
            f"{name}-woven",
            template,
            processor,
            model,
            WOVEN,
            (vision[0], audio[1], vision[1]),
            COUNTED | {"end"},
            True,
        ),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cuts_stop_the_step_as_families_say(case: Case, stock: Path, tmp_path: Path) -> None:
    """A whole unit trains and so does text; which cuts of a unit stop the step depends on family and medium."""
    import torch

    torch.manual_seed(0)
    processor = case.processor(tmp_path)
    processor.use_audio_in_video = case.woven
    made = trainer(case.template, processor, case.model(processor), stock)
    start, token, end = case.tokens
    literal: Mapping[str, Any] = {"messages": turns(case.row["messages"][0]["content"] + token)}
    cuts = {
        "whole": made.feature(case.row),
        "inside": made.feature(case.row, token),
        "start": made.feature(case.row, start, -1),
        "end": made.feature(case.row, end),
        "gone": made.feature(case.row, start),
        "surplus": made.feature(case.row | literal),
        "text": made.feature({"messages": turns("Say.")}),
    }
    errors = {name: made.step(feature) for name, feature in cuts.items()}
    assert {name for name, error in errors.items() if error} == case.stops, errors


@pytest.mark.parametrize(
    ("template", "make", "model", "family"),
    [
        ("qwen2_audio", qwen2_audio.processor, qwen2_audio.model, qwen2_audio_family.make),
        ("qwen2_omni", qwen2_omni.processor, qwen2_omni.model, qwen2_omni_family.make),
        ("qwen3_omni_nothink", qwen2_omni.qwen3, qwen2_omni.qwen3_model, qwen2_omni_family.make),
    ],
    ids=["qwen2_audio", "qwen2_5_omni", "qwen3_omni"],
)
def test_sounds_too_short_stop_the_step(
    template: str, make: Callable[[Path], Any], model: Callable[[Any], Any], family: Callable[..., Any], tmp_path: Path
) -> None:
    """A sound of no token, or for Qwen2-Audio of one, stops the step where the family says so, and nowhere else."""
    processor = make(tmp_path / "model")
    processor.use_audio_in_video = False
    trained = trainer(template, processor, model(processor), tmp_path)
    settings = TrainerSettings(template=template, trainer=installed_trainer())
    ours = family(settings, processor_configs(tmp_path / "model", settings.trainer))
    make_tone(tmp_path / "long.wav", 0.5)
    for samples in (1, 160, 320, 321, 960, 961):
        make_tone(tmp_path / f"{samples}.wav", samples / 16000)
        for names in ([f"{samples}.wav"], ["long.wav", f"{samples}.wav"]):
            row = {"messages": turns("Hear " + "<audio>, " * len(names)), "audios": names}
            placed = [Placed(MediaKind.AUDIO, slot, 0, probe_audio(tmp_path / name)) for slot, name in enumerate(names)]
            error = trained.step(trained.feature(row))
            assert bool(error) is bool(ours.step_fault(placed)), (names, error, ours.step_fault(placed))


LITERALS = ("{image}", "{video}", "{start}", "{end}", "{start}{video}", "{start}{image}", "{start} {video}")
"""Tokens in a row's own text, by their names."""


@pytest.mark.parametrize(
    ("template", "make", "model", "family", "special"),
    [
        ("qwen3_vl_nothink", qwen3_vl.processor, qwen3_vl.model, qwen3_vl_family.make, qwen2_vl_family.VisionTokens()),
        (
            "qwen2_omni",
            qwen2_omni.processor,
            qwen2_omni.model,
            qwen2_omni_family.make,
            qwen2_vl_family.VisionTokens("<|IMAGE|>", "<|VIDEO|>", *OLD_VISION),
        ),
    ],
    ids=["qwen3_vl", "qwen2_5_omni"],
)
def test_media_tokens_in_the_text_stop_the_step_as_families_say(
    template: str,
    make: Callable[[Path], Any],
    model: Callable[[Any], Any],
    family: Callable[..., Any],
    special: qwen2_vl_family.VisionTokens,
    stock: Path,
    tmp_path: Path,
) -> None:
    """A token of images or videos in a row of text, with an image or with a video: whether the step stops."""
    processor = make(tmp_path / "model")
    processor.use_audio_in_video = False
    trained = trainer(template, processor, model(processor), stock)
    settings = TrainerSettings(template=template, trainer=installed_trainer())
    ours = family(settings, processor_configs(tmp_path / "model", settings.trainer))
    wrong = []
    for row, kind in (({"messages": turns("See.")}, None), (IMAGE, MediaKind.IMAGE), (VIDEO, MediaKind.VIDEO)):
        placed = [(Placed(kind, 0, 0, MediaFacts(Health.OK)), Block(()))] if kind else []
        for literal in LITERALS:
            text = literal.format(image=special.image, video=special.video, start=special.start, end=special.end)
            error = trained.step(trained.feature(row | {"messages": [*row["messages"], *turns(f"What is {text} ?")]}))
            found = [
                Literal(place, token)
                for place, token in enumerate(re.findall(r"<\|[^|]*\|>| ", text))
                if token in ours.watched
            ]
            if bool(error) is not bool(ours.refuses(found, [], 1000, placed)):
                wrong.append((kind, literal, error))
    assert not wrong
