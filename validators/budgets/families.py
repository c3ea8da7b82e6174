"""Which family counts the media of which template, and with which of the model's config files.

Where a hub model's files are not on this machine, its published settings stand in (validators/budgets/releases.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from validators.budgets import minicpm_v, qwen2_vl
from validators.budgets.family import Family
from validators.budgets.releases import find_release
from validators.budgets.templates import Template
from validators.budgets.text import TextCounter, model_folder, read_config
from validators.settings import TrainerSettings

MARKERS = {"MiniCPMVPlugin": ("<image>",), "Qwen2VLPlugin": (qwen2_vl.MARKER,)}


def find_family(template: Template, settings: TrainerSettings, counter: TextCounter | None) -> Family | None:
    """The family of the template's plugin; None where its media are not counted yet.

    None as well when the tokenizer lacks the family's special tokens: the placeholder would be encoded as plain
    text there, and its length would be a guess.
    """
    markers = MARKERS.get(template.plugin, ())
    if counter is not None and not all(counter.is_single(marker) for marker in markers):
        return None
    configs = processor_configs(model_folder(settings.model))
    release = find_release(settings.model, template.name)
    if release is not None and not any(configs.values()):
        configs = dict.fromkeys(configs, release.preprocessor)
    match template.plugin:
        case "MiniCPMVPlugin":
            return minicpm_v.make(settings, configs["image"], counter)
        case "Qwen2VLPlugin":
            return qwen2_vl.make(settings, configs["image"], configs["video"])
        case _:
            return None


def processor_configs(folder: Path | None) -> Mapping[str, Mapping[str, object]]:
    """Image and video processor settings of a model folder, empty where it has none.

    transformers 5 saves both nested in processor_config.json; older models have preprocessor_config.json, which also
    serves videos unless video_preprocessor_config.json is there (transformers 5.6.0, video_processing_utils.py).
    """
    if folder is None:
        return {"image": {}, "video": {}}
    nested = read_config(folder / "processor_config.json")
    plain = read_config(folder / "preprocessor_config.json")
    image = nested.get("image_processor", plain)
    video = nested.get("video_processor") or read_config(folder / "video_preprocessor_config.json") or plain
    return {
        "image": image if isinstance(image, Mapping) else {},
        "video": video if isinstance(video, Mapping) else {},
    }
