"""The model families: one table of all that tells a family apart, and which family a run's model is of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """Models that train alike: one class (or one repository's own code), one processor."""

    name: str
    """As support.json names it."""
    model_types: tuple[str, ...] = ()
    """config.json's model_type (transformers, models/…/configuration_….py; llamafactory 0.9.5,
    model/model_utils/visual.py: COMPOSITE_MODELS)."""
    templates: tuple[str, ...] = ()
    """Those whose plugin writes what its processor reads (llamafactory 0.9.5, extras/constants.py), the best first."""
    hub: str = ""
    """A pattern of the hub name's last part in small letters with dashes for dots and underscores, where the template
    does not tell the family."""
    version: str = ""
    """config.json's `version`, where several families have one model_type."""
    own_code: bool = False
    """Whether the class comes with the repository (trust_remote_code), not with transformers."""
    parameters: float | None = None
    """All parameters of the published model, as its card says; None where sizes differ, or it is not known."""
    positions: int | None = None
    """The published config.json's max_position_embeddings."""
    environment: str = ""
    """The locked environment to try first where nobody ran the family; "" for the default one."""


MINICPM_V, MINICPM_O = ("minicpm_v",), ("minicpm_o", "minicpm_v")
FAMILIES = (
    ModelFamily(
        name="minicpm_v_2_6", model_types=("minicpmv",), templates=MINICPM_V, hub="minicpm-v-2-6", version="2.6",
        own_code=True, parameters=8.1e9, positions=32768,
    ),
    ModelFamily(
        name="minicpm_v_4_5", model_types=("minicpmv",), templates=MINICPM_V, hub="minicpm-v-4-5", version="4.5",
        own_code=True, parameters=8.7e9, positions=40960,
    ),
    ModelFamily(
        name="minicpm_v_4_6", model_types=("minicpmv4_6",), templates=("minicpm_v_4_6",), hub="minicpm-v-4-6",
        parameters=1.3e9, positions=262144,
    ),
    ModelFamily(
        name="minicpm_v_4_7", templates=("minicpm_v_4_6",), hub="minicpm-v-4-7",
        environment="minicpm-v-4.6",
    ),
    ModelFamily(
        name="minicpm_v_4_0", model_types=("minicpmv",), templates=MINICPM_V, hub="minicpm-v-4(?!-[1-9]($|-))",
        version="4.0", own_code=True, parameters=4.1e9, positions=32768,
    ),
    ModelFamily(name="minicpm_ocr", hub="minicpm-ocr", templates=MINICPM_V, own_code=True),
    ModelFamily(
        name="minicpm_o_2_6", model_types=("minicpmo",), templates=MINICPM_O, hub="minicpm-o-2-6", version="2.6",
        own_code=True, parameters=8.7e9, positions=32768,
    ),
    ModelFamily(
        name="minicpm_o_4_5", model_types=("minicpmo",), templates=MINICPM_O, hub="minicpm-o-4-5", version="4.5",
        own_code=True, parameters=9.4e9, positions=40960,
    ),
    ModelFamily(
        name="qwen2_5_vl", model_types=("qwen2_5_vl",), templates=("qwen2_vl", "mimo_vl"), hub="qwen2-5-vl|mimo-vl",
        positions=128000,
    ),
    ModelFamily(
        name="qwen2_vl", model_types=("qwen2_vl",), templates=("qwen2_vl",), hub="qwen2-vl|qvq", positions=32768
    ),
    ModelFamily(
        name="qwen3_vl_moe", model_types=("qwen3_vl_moe",), templates=("qwen3_vl", "qwen3_vl_nothink"),
        hub="qwen3-vl-[0-9]+b-a[0-9]+b", positions=262144,
    ),
    ModelFamily(
        name="qwen3_vl", model_types=("qwen3_vl",), templates=("qwen3_vl", "qwen3_vl_nothink"), hub="qwen3-vl",
        positions=262144,
    ),
    ModelFamily(
        name="qwen3_5", model_types=("qwen3_5", "qwen3_5_moe"), templates=("qwen3_5", "qwen3_5_nothink", "qwen3_6")
    ),
    ModelFamily(name="qwen2_audio", model_types=("qwen2_audio",), templates=("qwen2_audio",)),
    ModelFamily(name="qwen2_5_omni", model_types=("qwen2_5_omni",), templates=("qwen2_omni",)),
    ModelFamily(
        name="qwen3_omni", model_types=("qwen3_omni_moe",), templates=("qwen3_omni", "qwen3_omni_nothink")
    ),
    ModelFamily(name="gemma3", model_types=("gemma3",), templates=("gemma3",)),
    ModelFamily(name="gemma3n", model_types=("gemma3n",), templates=("gemma3n",)),
    ModelFamily(name="gemma4", model_types=("gemma4",), templates=("gemma4", "gemma4n")),
    ModelFamily(name="internvl", model_types=("internvl",), templates=("intern_vl",)),
    ModelFamily(name="interns1", model_types=("interns1",), templates=("intern_s1",), own_code=True),
    ModelFamily(name="glm4v", model_types=("glm4v",), templates=("glm4v",)),
    ModelFamily(name="glm4v_moe", model_types=("glm4v_moe",), templates=("glm4_5v",)),
    ModelFamily(name="glm_ocr", model_types=("glm_ocr",), templates=("glm_ocr",)),
    ModelFamily(name="llava", model_types=("llava",), templates=("llava", "yi_vl")),
    ModelFamily(name="pixtral", model_types=("llava",), templates=("pixtral",)),
    ModelFamily(
        name="llava_next", model_types=("llava_next",),
        templates=("llava_next", "llava_next_llama3", "llava_next_mistral", "llava_next_qwen", "llava_next_yi"),
    ),
    ModelFamily(
        name="llava_next_video", model_types=("llava_next_video",),
        templates=("llava_next_video", "llava_next_video_mistral", "llava_next_video_yi"),
    ),
    ModelFamily(name="video_llava", model_types=("video_llava",), templates=("video_llava",)),
    ModelFamily(name="kimi_vl", model_types=("kimi_vl",), templates=("kimi_vl",), own_code=True),
    ModelFamily(name="paligemma", model_types=("paligemma",), templates=("paligemma", "paligemma_chat")),
    ModelFamily(name="mistral3", model_types=("mistral3",), templates=("mistral_small", "ministral3")),
    ModelFamily(name="mllama", model_types=("mllama",), templates=("mllama",)),
    ModelFamily(name="llama4", model_types=("llama4",), templates=("llama4",)),
    ModelFamily(name="youtu_vl", model_types=("youtu_vl",), templates=("youtu_vl",), own_code=True),
    ModelFamily(name="ernie_vl", model_types=("ernie4_5_moe_vl", "ernie4_5_vl_moe"), templates=("ernie_vl",)),
    ModelFamily(name="lfm2_vl", model_types=("lfm2_vl",), templates=("lfm2_vl",)),
    ModelFamily(name="dots_ocr", model_types=("dots_ocr",), templates=("dots_ocr",), own_code=True),
    ModelFamily(name="keye_vl", model_types=("Keye",), templates=("keye_vl",), own_code=True),
    ModelFamily(name="granite3_vision", model_types=("llava_next",), templates=("granite3_vision",)),
    ModelFamily(name="text", model_types=("qwen2", "qwen3", "llama", "mistral", "gemma", "gemma2", "minicpm")),
)  # fmt: skip
"""Families with a more telling hub name before those with a less telling one."""
BY_NAME: Mapping[str, ModelFamily] = MappingProxyType({family.name: family for family in FAMILIES})


def templates_by_type() -> Mapping[str, tuple[str, ...]]:
    """config.json's model_type → the templates of all families that have it; none for those of text."""
    found: dict[str, tuple[str, ...]] = {}
    for family in FAMILIES:
        for model_type in family.model_types if family.templates else ():
            found[model_type] = tuple(dict.fromkeys(found.get(model_type, ()) + family.templates))
    return found


def families_of(
    model: str | None, config: Mapping[str, object], template: str | None, listed: Iterable[str] = ()
) -> tuple[ModelFamily, ...]:
    """The families that a run's model can be of: one, several that nothing tells apart, or none that is known.

    `config` is the model's config.json, empty where it is not on this machine; `listed` are the templates that
    llamafactory registers for the model's name. What config.json says goes before the hub name, that before the
    template.
    """
    said = config.get("model_type")
    if isinstance(said, str):
        return of_config(said, config.get("version"), model, template)
    named = of_name(model)
    if named:
        return named
    templates = tuple(listed) or ((template,) if template else ())
    return tuple(family for family in FAMILIES if not set(family.templates).isdisjoint(templates))


def of_config(said: str, version: object, model: str | None, template: str | None) -> tuple[ModelFamily, ...]:
    """The families of a model_type, those that its version, else its name, else the template tells."""
    found = tuple(family for family in FAMILIES if said in family.model_types)
    if len(found) < 2:
        return found
    if isinstance(version, str | int | float) and any(family.version for family in found):
        return tuple(family for family in found if family.version == f"{version}")
    for fewer in (
        tuple(family for family in found if family in of_name(model)),
        tuple(family for family in found if template in family.templates),
    ):
        if fewer:
            return fewer
    return found


def of_name(model: str | None) -> tuple[ModelFamily, ...]:
    """The family that a hub name, or a folder that is named like one, tells; none for most."""
    tail = re.sub(r"[^a-z0-9]+", "-", (model or "").rstrip("/").rsplit("/", maxsplit=1)[-1].lower())
    found = (family for family in FAMILIES if family.hub and re.match(family.hub, tail))
    return tuple(found)[:1]


MODEL_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(templates_by_type())
