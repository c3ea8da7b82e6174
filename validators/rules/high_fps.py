"""CFG: the keys for the high-fps video of MiniCPM-V 4.5, which the released trainer lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from validators.budgets.high_fps import refusal
from validators.budgets.releases import MINICPM_V_45, find_release
from validators.budgets.text import model_config
from validators.findings import Found
from validators.rules.rule import RunView
from validators.rules.yaml_view import in_yaml
from validators.settings import DEFAULTS, FORK, FORK_KEYS, PLUGIN, TrainerSettings, coerce, trainer_version


def fork_only_key(view: RunView) -> Iterator[Found]:
    """A key that only a branch of LLaMA-Factory knows, where this project's plugin does not stand in for it.

    ## What it finds
    enable_high_fps, double_frame_duration, packing_maxlen or time_scale under a template or beside a model that packs
    no frames (only MiniCPM-V 4.5 does), or with a value that cannot be meant, such as a packing_maxlen above 6.

    ## Why it matters
    The MiniCPM-V 4.5 guide names them, but they exist in the branch dev-nhb of tc-mb/LLaMA-Factory only
    (hparams/model_args.py: ProcessorArguments). The released LLaMA-Factory stops at them as unknown keys. `curate
    train` adds them to it for MiniCPM-V 4.5, with the limits that the model's page names (README.md, Chat with Video).

    ## Bad
    ```yaml train.yaml
    enable_high_fps: true
    ```

    ## Good
    ```yaml train.yaml
    video_fps: 2.0
    ```

    ## Fix
    Remove the key, or give the value that is expected.
    """
    for key in view.settings.raw:
        if key in FORK_KEYS:
            fault = obstacle(view, key)
            if fault is not None:
                yield in_yaml(view, key, *fault)


def plugin_only_key(view: RunView) -> Iterator[Found]:
    """A key that needs this project's plugin beside the trainer.

    ## What it finds
    enable_high_fps, double_frame_duration, packing_maxlen or time_scale for MiniCPM-V 4.5, with sound values.

    ## Why it matters
    `curate train` runs LLaMA-Factory with a plugin that knows the keys, and tokens are counted as it packs them: one
    block for up to packing_maxlen frames. `llamafactory-cli train` stops at them as unknown keys.

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    model_name_or_path: openbmb/MiniCPM-V-4_5
    enable_high_fps: true
    ```

    ## Good
    ```yaml train.yaml
    video_fps: 4.0
    ```

    ## Fix
    None is needed with `curate train`.
    """
    keys = [key for key in view.settings.raw if key in FORK_KEYS]
    if keys and not any(obstacle(view, key) for key in keys):
        found = f"{', '.join(keys)}: in {FORK} only; `curate train` adds them to LLaMA-Factory ({PLUGIN})"
        yield in_yaml(view, keys[0], found, "`curate train`, as llamafactory-cli train stops")


def obstacle(view: RunView, key: str) -> tuple[str, str, str] | None:
    """Why the plugin cannot serve this key: what was found, what is expected, the cure; None where it serves."""
    settings, value = view.settings, view.settings.raw[key]
    if view.template is None or view.template.plugin != "MiniCPMVPlugin" or not may_pack(view):
        found = f"{key!r} exists in {FORK} only; {PLUGIN} adds it for MiniCPM-V 4.5, which this is not"
        return found, f"an argument of LLaMA-Factory {trainer_version()}", "remove it"
    if coerce(value, DEFAULTS[key]) is None:
        return f"{key}: {value!r}", f"a value like {getattr(TrainerSettings(), key)!r}", "correct it"
    fault = refusal(settings) if settings.enable_high_fps else None
    if fault is not None and fault[0] in (key, "video_fps", "video_maxlen"):
        return f"{fault[0]}: {getattr(settings, fault[0])}", fault[1], "correct it"
    return None


def may_pack(view: RunView) -> bool:
    """Whether the model is MiniCPM-V 4.5, or not known: by its files, else by its name on a hub."""
    model = view.settings.model
    if model is not None and Path(model).is_dir():
        config = model_config(model)
        return config.get("model_type", "minicpmv") == "minicpmv" and str(config.get("version", 4.5)) == "4.5"
    release = find_release(model, view.settings.template or "")
    return release is None or release is MINICPM_V_45
