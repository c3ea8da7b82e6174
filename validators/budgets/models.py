"""Which templates belong to which model: by the name it has on a hub, and by what its config.json says it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from validators.budgets.templates import Template, find_template

TABLE = Path(__file__).parent.parent / "sources" / "models.json"
# config.json's model_type -> the templates whose plugin writes what its processor reads. The types are those of
# model/model_utils/visual.py (COMPOSITE_MODELS) and their wholes; the templates those of extras/constants.py.
MODEL_TYPES: Mapping[str, tuple[str, ...]] = {
    "Keye": ("keye_vl",),
    "dots_ocr": ("dots_ocr",),
    "gemma3": ("gemma3",),
    "gemma3n": ("gemma3n",),
    "gemma4": ("gemma4", "gemma4n"),
    "glm4v": ("glm4v",),
    "glm4v_moe": ("glm4_5v",),
    "glm_ocr": ("glm_ocr",),
    "interns1": ("intern_s1",),
    "internvl": ("intern_vl",),
    "kimi_vl": ("kimi_vl",),
    "lfm2_vl": ("lfm2_vl",),
    "llama4": ("llama4",),
    "llava": ("llava", "yi_vl", "pixtral"),
    "llava_next": ("llava_next", "llava_next_llama3", "llava_next_mistral", "llava_next_qwen", "llava_next_yi"),
    "llava_next_video": ("llava_next_video", "llava_next_video_mistral", "llava_next_video_yi"),
    "minicpmo": ("minicpm_o", "minicpm_v"),
    "minicpmv": ("minicpm_v",),
    "minicpmv4_6": ("minicpm_v_4_6",),
    "mistral3": ("mistral_small", "ministral3"),
    "mllama": ("mllama",),
    "paligemma": ("paligemma", "paligemma_chat"),
    "qwen2_5_omni": ("qwen2_omni",),
    "qwen2_5_vl": ("qwen2_vl", "mimo_vl"),
    "qwen2_audio": ("qwen2_audio",),
    "qwen2_vl": ("qwen2_vl",),
    "qwen3_5": ("qwen3_5", "qwen3_5_nothink", "qwen3_6"),
    "qwen3_5_moe": ("qwen3_5", "qwen3_5_nothink", "qwen3_6"),
    "qwen3_omni_moe": ("qwen3_omni", "qwen3_omni_nothink"),
    "qwen3_vl": ("qwen3_vl", "qwen3_vl_nothink"),
    "qwen3_vl_moe": ("qwen3_vl", "qwen3_vl_nothink"),
    "video_llava": ("video_llava",),
    "youtu_vl": ("youtu_vl",),
}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that llamafactory lists: its hub name, and the templates registered for it, none for a base model."""

    name: str
    templates: tuple[str, ...]
    multimodal: bool

    @property
    def speaks_only(self) -> bool:
        """Whether it is a language model: listed with templates, and all of them for text."""
        own = templates_named(self.templates)
        return bool(own) and not self.multimodal and not any(template.takes_media for template in own)


@cache
def known_models() -> Mapping[str, KnownModel]:
    """The generated table (scripts/make_tables.py), by the last part of the hub name in small letters."""
    listed = json.loads(TABLE.read_text(encoding="utf-8"))["models"]
    return {
        name: KnownModel(entry["name"], tuple(entry["templates"]), entry["multimodal"])
        for name, entry in listed.items()
    }


def find_model(name: str) -> KnownModel | None:
    """The listed model of that hub name, or of that folder name; None for any other."""
    return known_models().get(name.rstrip("/").rsplit("/", maxsplit=1)[-1].lower())


def family_of(template: Template) -> tuple[object, ...]:
    """What of a template must fit a model's processor: its plugin and the words that stand for pictures."""
    plugin = template.spec["plugin"]
    words = () if plugin["class"] == "Qwen2AudioPlugin" else (plugin["image_token"], plugin["vision_bos_token"])
    return (plugin["class"], *words)


def speech_of(template: Template) -> tuple[object, ...]:
    """What of a template a model has learnt to speak in: the frames around what people and it say."""
    return tuple(str(template.spec[part]["slots"]) for part in ("user", "assistant", "system", "prefix"))


def templates_named(names: tuple[str, ...]) -> list[Template]:
    """The templates of these names."""
    return [template for name in names if (template := find_template(name)) is not None]
