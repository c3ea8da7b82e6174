"""Which templates belong to which model: by the name it has on a hub, and by what its config.json says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from validators.budgets.templates import Template, find_template
from validators.llamafactory.generated import table_of


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
    return {
        name: KnownModel(entry["name"], tuple(entry["templates"]), entry["multimodal"])
        for name, entry in table_of("models").items()
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
