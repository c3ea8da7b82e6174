"""Pairs of kinds of rows in one batch, through the real collator.

Those that stop, or learn wrong, are those that the families name.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.agreement import minicpm_processor
from tests.agreement.test_feature_tokens import Features, Trainer, trainer, turns
from tests.installed import installed_trainer
from tests.scaffold import make_clip, make_tone
from validators.budgets.families import processor_configs
from validators.budgets.family import Family, Placed
from validators.llamafactory.batches.member import packed
from validators.model import MediaKind, Outcome
from validators.probes.cache import ProbeCache
from validators.settings import COLLATION, TrainerSettings

pytestmark = [pytest.mark.trainer, pytest.mark.usefixtures("one_thread")]
FILES = {"I": "small.png", "i": "large.png", "V": "short.mp4", "v": "long.mp4", "A": "short.wav", "a": "long.wav"}
KIND = {"I": MediaKind.IMAGE, "V": MediaKind.VIDEO, "A": MediaKind.AUDIO}
KINDS = ("T", "I", "i", "Ii", "V", "v", "VV", "A", "Aa", "IV", "IA", "VA", "vA", "IVA")
"""Letters are media, T is none; the case tells two files of a kind apart."""

FEWER = ("T", "I", "V", "v", "A", "VA", "vA", "IV")
"""Where a step takes long."""


@dataclass(frozen=True)
class Case:
    """A plugin of LLaMA-Factory with a model's processor, and our family of it."""

    name: str
    template: str
    module: str
    make: str = "make"
    switches: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS


CASES = [
    Case("gemma3", "gemma3", "gemma3"),
    Case("gemma3n", "gemma3n", "gemma3", "make_3n"),
    Case("internvl", "intern_vl", "internvl"),
    Case("kimi_vl", "kimi_vl", "kimi_vl"),
    Case("llama4", "llama4", "llama4"),
    Case("llava", "llava", "llava"),
    Case("llava_next", "llava_next", "llava_next"),
    Case("llava_next_video", "llava_next_video", "llava_next", "make_video"),
    Case("mllama", "mllama", "mllama"),
    Case("paligemma", "paligemma", "paligemma"),
    Case("pixtral", "pixtral", "pixtral"),
    Case("video_llava", "video_llava", "video_llava"),
    Case("glm4v", "glm4v", "glm4v"),
    Case("qwen2_audio", "qwen2_audio", "qwen2_audio"),
    Case("qwen2_vl", "qwen2_vl", "qwen2_vl"),
    Case("qwen3_vl", "qwen3_vl_nothink", "qwen3_vl"),
    Case("qwen2_omni", "qwen2_omni", "qwen2_omni", kinds=FEWER),
    Case("qwen2_omni", "qwen2_omni", "qwen2_omni", switches=("use_audio_in_video",), kinds=FEWER),
]
MODELS = ("mllama", "qwen2_audio", "qwen2_omni", "qwen3_vl")
"""Those whose step is run, too, with a tiny model of transformers' class."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of each kind."""
    from PIL import Image

    from tests.agreement.oracle import quiet

    quiet()
    folder = tmp_path_factory.mktemp("media")
    Image.new("RGB", (64, 48), "red").save(folder / "small.png")
    Image.new("RGB", (500, 300), "blue").save(folder / "large.png")
    make_clip(folder / "short.mp4", 10, (64, 48), 5)
    make_clip(folder / "long.mp4", 30, (96, 64), 5)
    make_tone(folder / "short.wav", 0.7)
    make_tone(folder / "long.wav", 0.9)
    return folder


def placed_of(kind: str, media: Path) -> list[Placed]:
    """The placeholders of a row of that kind."""
    probes = ProbeCache(whole=True)
    found: list[Placed] = []
    for letter in kind.replace("T", ""):
        modality = KIND[letter.upper()]
        facts = probes.facts(modality, FILES[letter], media)
        found.append(Placed(modality, sum(item.kind is modality for item in found), 0, facts))
    return found


def row_of(kind: str) -> Features:
    """A row of that kind."""
    letters = kind.replace("T", "")
    row: Features = {"messages": turns("".join(KIND[letter.upper()].tag for letter in letters) + "Say it.")}
    for letter in letters:
        row.setdefault(KIND[letter.upper()].column, []).append(FILES[letter])
    return row


def features_of(made: Trainer, kinds: tuple[str, ...] = KINDS) -> dict[str, Features]:
    """The rows that the trainer prepares, by kind."""
    found = {}
    for kind in kinds:
        try:
            feature = made.feature(row_of(kind))
        except Exception:
            continue  # a row that stops the run by itself is no matter of batches
        if feature.get("input_ids"):
            found[kind] = feature
    return found


def settings_of(case: Case) -> TrainerSettings:
    """The run's settings, on the versions that are installed."""
    return TrainerSettings(template=case.template, raw=dict.fromkeys(case.switches, True), trainer=installed_trainer())


Step = Callable[[list[Features]], Outcome]


def stepper(made: Trainer) -> Step:
    """What the collator does with a batch, and the model where there is one; ALTERED where the pixel values of the
    batch are not those of its rows in their order, or the positions of its tokens not those that they have alone."""

    known: dict[int, Any] = {}

    def collated(feature: Features) -> Any:
        """The batch of one row, made once."""
        if id(feature) not in known:
            known[id(feature)] = made.collator([copy.deepcopy(feature)])
        return known[id(feature)]

    def step(features: list[Features]) -> Outcome:
        import torch

        try:
            batch = made.collator([copy.deepcopy(each) for each in features])
            alone = [collated(feature) for feature in features]
            if made.model is not None:
                with torch.no_grad():
                    made.model(**batch)
        except Exception:
            return Outcome.CRASH_STEP
        shown = [one["pixel_values"] for one in alone if media_in(one, features)]
        apart = [item for values in shown for item in values]
        together = batch.get("pixel_values")
        joined = together is not None and len(apart) == len(together) and len({item.shape for item in apart}) == 1
        same = not joined or torch.equal(torch.stack(apart), torch.stack(list(together)))
        for row, (one, feature) in enumerate(zip(alone, features, strict=True)):
            if "position_ids" in one:
                own = len(feature["input_ids"])
                same &= torch.equal(one["position_ids"][..., 0, :own], batch["position_ids"][..., row, :own])
        return Outcome.TRAINED if same else Outcome.ALTERED

    return step


def media_in(batch: Mapping[str, Any], features: list[Features]) -> bool:
    """Whether a row's batch has pixel values that a batch of several has as well: no image that is added to text."""
    return "pixel_values" in batch and all(feature["images"] or feature["videos"] for feature in features)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case.name, *case.switches)))
def test_pairs_end_as_the_family_says(case: Case, media: Path, tmp_path: Path) -> None:
    """Every ordered pair of rows that are well by themselves."""
    import torch

    torch.manual_seed(0)
    builder = import_module(f"tests.agreement.processors.{case.name}")
    processor = builder.processor(tmp_path / "model")
    processor.use_audio_in_video = "use_audio_in_video" in case.switches
    model = builder.model(processor) if case.name in MODELS else None
    made = trainer(case.template, processor, model, media)
    settings = settings_of(case)
    make = getattr(import_module(f"validators.budgets.{case.module}"), case.make)
    family: Family = make(settings, processor_configs(tmp_path / "model", settings.trainer))
    compare(features_of(made, case.kinds), stepper(made), family, media)


@pytest.mark.parametrize("name", minicpm_processor.VERSIONS)
def test_pairs_end_as_minicpm_says(name: str, media: Path, tmp_path: Path) -> None:
    """MiniCPM's plugin, and what the published models do with what it makes; with the plugin, all that it repairs."""
    import dataclasses

    from train.plugins.minicpm_collation import CollationPlugin
    from validators.budgets.minicpm_v import MiniCPM, MiniCPMProcessor

    release = minicpm_processor.VERSIONS[name]
    hears = name.startswith("o")
    minicpm_processor.save_model_folder(tmp_path, release, ["Say it. A cat."])
    processor = minicpm_processor.load_processor(tmp_path, release)
    made = trainer("minicpm_o" if hears else "minicpm_v", processor, None, media)
    family = MiniCPM(TrainerSettings(), MiniCPMProcessor.from_config(release.config()), hears)
    if hears:
        assert family.processor.audio_chunked is release.chunks_audio

    def step(features: list[Features]) -> Outcome:
        try:
            minicpm_processor.embed(dict(made.collator([copy.deepcopy(each) for each in features])["data"]), processor)
        except Exception:
            return Outcome.CRASH_STEP
        return Outcome.TRAINED

    rows = features_of(made)
    assert {"T", "I", "V"} <= set(rows) and ("A" in rows) is hears
    bad = compare(rows, step, family, media)
    assert bad

    plugin = made.collator.template.mm_plugin
    given = {field.name: getattr(plugin, field.name) for field in dataclasses.fields(plugin)}
    made.collator.template.mm_plugin = CollationPlugin(**given)
    for pair in itertools.product(rows, repeat=2):
        members = [family.member(placed_of(kind, media)) for kind in pair]
        fault = family.batch_fault(members)
        repaired = fault is None or fault.plugin == COLLATION
        assert (step([rows[kind] for kind in pair]) is Outcome.TRAINED) is repaired, pair


@pytest.mark.parametrize("name", ["minicpm_v_4_5", "minicpm_o_2_6"])
def test_pairs_end_as_the_tiny_minicpm_ends(name: str, media: Path, tmp_path: Path) -> None:
    """The demo's models, loaded with code of their own: they stop at the batches at which the published ones do."""
    import json

    from transformers import AutoModelForCausalLM, AutoProcessor

    from train.tiny import make_tiny
    from validators.budgets.minicpm_v import MIXED_SOUNDS, MIXED_VIDEOS, make

    (tmp_path / "text.json").write_text(json.dumps([{"messages": turns("Say it. A cat.")}]))
    model = tmp_path / "model"
    make_tiny(model, [tmp_path / "text.json"], family=name)
    template = name.partition("_4")[0].partition("_2")[0]
    processor = AutoProcessor.from_pretrained(model, trust_remote_code=True)
    made = trainer(template, processor, AutoModelForCausalLM.from_pretrained(model, trust_remote_code=True), media)
    settings = TrainerSettings(template=template, model=str(model), trainer=installed_trainer())
    family = make(settings, processor_configs(model, settings.trainer))
    rows = features_of(made, FEWER)
    bad = compare(rows, stepper(made), family, media)
    named = {family.batch_fault([family.member(placed_of(kind, media)) for kind in pair]) for pair in bad}
    assert named == ({MIXED_VIDEOS, MIXED_SOUNDS} if name == "minicpm_o_2_6" else {MIXED_VIDEOS})


def compare(rows: dict[str, Features], step: Step, family: Family, media: Path) -> list[tuple[str, ...]]:
    """Hold all pairs of rows that train alone against the family; the pairs that do not train."""
    sound = [kind for kind, feature in rows.items() if step([feature]) is Outcome.TRAINED]
    members = {kind: family.member(placed_of(kind, media)) for kind in sound}
    assert len(sound) > 1, sound
    bad, wrong = [], []
    for pair in itertools.product(sound, repeat=2):
        truth = step([rows[kind] for kind in pair])
        fault = family.batch_fault([members[kind] for kind in pair]) if family.joins else None
        said = Outcome.TRAINED if fault is None else fault.outcome
        bad += [pair] if truth is not Outcome.TRAINED else []
        wrong += [f"{pair}: {truth} but predicted {said}"] if truth is not said else []
    assert not wrong, wrong[:8]
    return bad


def test_packs_of_minicpm_end_as_it_says(media: Path, tmp_path: Path) -> None:
    """Rows in one sequence: of several videos only with the plugin, of images and a video not even then."""
    import dataclasses

    from train.plugins.minicpm_collation import CollationPlugin
    from validators.budgets.minicpm_v import MiniCPM, MiniCPMProcessor

    release = minicpm_processor.VERSIONS["v-4.5"]
    minicpm_processor.save_model_folder(tmp_path, release, ["Say it. A cat."])
    processor = minicpm_processor.load_processor(tmp_path, release)
    made = trainer("minicpm_v", processor, None, media)
    family = MiniCPM(TrainerSettings(), MiniCPMProcessor.from_config(release.config()), hears=False)
    rows = features_of(made, ("T", "I", "i", "V", "v"))
    plugin = made.collator.template.mm_plugin
    given = {field.name: getattr(plugin, field.name) for field in dataclasses.fields(plugin)}
    for repairs in (False, True):
        made.collator.template.mm_plugin = CollationPlugin(**given) if repairs else plugin
        for pair in itertools.product(rows, repeat=2):
            fault = family.batch_fault([packed([family.member(placed_of(kind, media)) for kind in pair])])
            trains = fault is None or (repairs and bool(fault.plugin))
            try:
                batch = made.collator([joined([rows[kind] for kind in pair])])
                minicpm_processor.embed(dict(batch["data"]), processor)
                assert trains, (pair, repairs)
            except (IndexError, RuntimeError, ValueError):
                assert not trains, (pair, repairs)


def joined(features: list[Features]) -> Features:
    """Rows packed into one, as PackedSupervisedDatasetProcessor does."""
    made: Features = {}
    for key in features[0]:
        values = [item for feature in features for item in feature[key] or []]
        made[key] = values or None
    return made
