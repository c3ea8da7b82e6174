"""Which family counts the media of which template, and with which of the model's config files.

Where a hub model's files are not on this machine, its published settings stand in (validators/budgets/releases.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from validators.budgets import (
    gemma3,
    glm4v,
    internvl,
    kimi_vl,
    llama4,
    llava,
    llava_next,
    minicpm_v,
    minicpm_v_4_6,
    mllama,
    paligemma,
    pixtral,
    qwen2_audio,
    qwen2_omni,
    qwen2_vl,
    qwen3_vl,
    video_llava,
)
from validators.budgets.family import Family
from validators.budgets.releases import find_release
from validators.budgets.sound import Whisper
from validators.budgets.templates import Template
from validators.budgets.text import TextCounter, model_folder, read_config
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.settings import TrainerSettings

Configs = Mapping[str, Mapping[str, object]]
"""A model's processor settings: `image`, `video`, `audio`, and `processor` for what stands above them."""
MAKERS: Mapping[str, Callable[[TrainerSettings, Configs], Family | None]] = {
    "GLM4VPlugin": glm4v.make,
    "Gemma3Plugin": gemma3.make,
    "Gemma3nPlugin": gemma3.make_3n,
    "InternVLPlugin": internvl.make,
    "KimiVLPlugin": kimi_vl.make,
    "Llama4Plugin": llama4.make,
    "LlavaNextPlugin": llava_next.make,
    "LlavaNextVideoPlugin": llava_next.make_video,
    "LlavaPlugin": llava.make,
    "MiniCPMV4_6Plugin": minicpm_v_4_6.make,
    "MiniCPMVPlugin": minicpm_v.make,
    "MllamaPlugin": mllama.make,
    "PaliGemmaPlugin": paligemma.make,
    "PixtralPlugin": pixtral.make,
    "Qwen2AudioPlugin": qwen2_audio.make,
    "Qwen2OmniPlugin": qwen2_omni.make,
    "Qwen2VLPlugin": qwen2_vl.make,
    "Qwen3VLPlugin": qwen3_vl.make,
    "VideoLlavaPlugin": video_llava.make,
}

WINDOWED = frozenset(["Qwen2AudioPlugin", "Qwen2OmniPlugin"])
"""Plugins that call a Whisper feature extractor with its defaults (llamafactory 0.9.5: mm_plugin.py)."""

OPENED_AT_STEP = frozenset(["Gemma3Plugin", "Gemma3nPlugin", "MllamaPlugin", "PaliGemmaPlugin"])
"""Plugins whose placeholders do not depend on the media: files are opened by the collator only."""


def find_family(template: Template, settings: TrainerSettings, counter: TextCounter | None) -> Family | None:
    """The family of the template's plugin; None where its media are not counted yet.

    None as well when the tokenizer lacks the family's special tokens: the placeholder would be encoded as plain
    text there, and its length would be a guess.
    """
    make = MAKERS.get(template.plugin)
    family = None if make is None else make(settings, configs_for(template, settings))
    if family is None or (counter is not None and not all(counter.is_single(token) for token in family.tokens)):
        return None
    return family


def configs_for(template: Template, settings: TrainerSettings) -> Configs:
    """The model's own processor settings, or its release's."""
    configs = processor_configs(model_folder(settings.model), settings.trainer)
    release = find_release(settings.model, template.name)
    if release is not None and not any(configs.values()):
        configs = dict.fromkeys(configs, release.preprocessor)
    return configs


def heard_seconds(template: Template | None, settings: TrainerSettings) -> int | None:
    """The window at whose end the feature extractor cuts a sound; None where it takes sounds of any length, or where
    that is not known."""
    if template is None or template.plugin not in WINDOWED:
        return None
    config = configs_for(template, settings)["audio"]
    if not config and template.plugin != "Qwen2AudioPlugin":  # whose models all have the class's default
        return None
    return Whisper.from_config(config).chunk_length


def processor_configs(folder: Path | None, trainer: Trainer = REFERENCE) -> Configs:
    """Processor settings of a model folder, empty where it has none.

    transformers 5 saves them nested in processor_config.json; older models have preprocessor_config.json, which also
    serves videos unless video_preprocessor_config.json is there. All of them read both forms; which goes first where
    a folder has both is a quirk (image_processing_base.py, video_processing_utils.py, feature_extraction_utils.py).
    """
    if folder is None:
        return {part: {} for part in ("image", "video", "audio", "processor")}
    nested = read_config(folder / "processor_config.json")
    plain = read_config(folder / "preprocessor_config.json")
    parts = {
        "image": (nested.get("image_processor"), plain),
        "video": (nested.get("video_processor"), read_config(folder / "video_preprocessor_config.json") or plain),
        "audio": (nested.get("feature_extractor") or nested.get("audio_processor"), plain),
    }
    plain_first = trainer.has("plain-processor-files-first")
    found = {name: (own or inner if plain_first else inner or own) for name, (inner, own) in parts.items()}
    found["processor"] = nested
    return {name: value if isinstance(value, Mapping) else {} for name, value in found.items()}
