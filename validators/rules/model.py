"""CFG: the model beside the template, and beside what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from validators.budgets.models import family_of, find_model, speech_of, templates_named
from validators.budgets.text import model_config
from validators.findings import Found
from validators.llamafactory.environment.families import MODEL_TYPES
from validators.llamafactory.generated import nearest, tabled
from validators.model import MediaKind
from validators.probes import installed
from validators.probes.trainer_source import minicpm_returns
from validators.rules.rule import RunView
from validators.rules.yaml_view import in_yaml, is_train
from validators.settings import trainer_version


def model_type_of(view: RunView) -> str:
    """What the model's config.json says it is, "" where that is not known here."""
    value = model_config(view.settings.model).get("model_type")
    return value if isinstance(value, str) else ""


def fitting_templates(view: RunView) -> tuple[str, ...]:
    """The templates for a model that takes media; none where the model is not known, or is one for text."""
    known = find_model(view.settings.model) if view.settings.model is not None else None
    if known is not None and known.multimodal and known.templates:
        return known.templates
    return MODEL_TYPES.get(model_type_of(view), ())


def template_of_another_family(view: RunView) -> Iterator[Found]:
    """A template whose way with media is not the model's.

    ## What it finds
    A model for images, video or sound under a template of another family of models, or (where the data have media)
    under one for text; a language model that LLaMA-Factory lists as such under a template for media.

    ## Why it matters
    The template's plugin writes the placeholders and calls the processor (data/mm_plugin.py). Another family's
    placeholders are words that the model has never seen: the run stops in the processor or at a step, or trains on
    images that are nowhere in the text. A template for text stops with "This model does not support image input", a
    language model under one for media with "Processor was not found".

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```

    ## Fix
    Use the template that is named, or the model that belongs to the template.
    """
    template, model = view.template, view.settings.model
    if template is None or model is None:
        return
    fitting = fitting_templates(view)
    known = find_model(model)
    if fitting:
        families = {family_of(each) for each in templates_named(fitting)}
        has_media = any(dataset.entry.media_column(kind) for dataset in view.plan.datasets for kind in MediaKind)
        if (template.takes_media or has_media) and family_of(template) not in families:
            said = model_type_of(view) or model
            found = f"template {template.name} for {model}" + (f" ({said})" if said != model else "")
            yield in_yaml(view, "template", found, " or ".join(fitting), f"template: {fitting[0]}")
    elif known is not None and template.takes_media and known.speaks_only:
        found = f"template {template.name} for {model}, a language model"
        yield in_yaml(view, "template", found, " or ".join(known.templates), f"template: {known.templates[0]}")


def template_of_another_model(view: RunView) -> Iterator[Found]:
    """A chat template that the model does not speak.

    ## What it finds
    A model that LLaMA-Factory lists as a chat model, under a template whose frames around the turns are other ones than
    those of the template registered for it; a reasoning template for a model that does not reason.

    ## Why it matters
    The model then learns a second way of marking turns beside its own: much of a small training goes into that, and
    with the tokenizer's own chat template it answers as before (data/template.py). A reasoning template puts empty
    thoughts before the answers; LLaMA-Factory 0.9.5 warns of it in the log.

    ## Bad
    ```yaml train.yaml
    model_name_or_path: Qwen/Qwen2-VL-7B-Instruct
    template: llava
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```

    ## Fix
    Use the template that is named.
    """
    template, model = view.template, view.settings.model
    known = find_model(model) if model is not None else None
    if template is None or known is None or not known.templates or template.name in known.templates:
        return
    own = templates_named(known.templates)
    expected = " or ".join(known.templates)
    if all(speech_of(each) != speech_of(template) for each in own):
        yield in_yaml(view, "template", f"template {template.name} for {model}", expected, f"template: {own[0].name}")
    elif template.is_reasoning and not any(each.is_reasoning for each in own):
        found = f"template {template.name} for {model}, which does not reason"
        yield in_yaml(view, "template", found, expected, f"template: {own[0].name}")


@dataclass(frozen=True, slots=True)
class Broken:
    """A version beside which some models cannot be trained: the package and its bounds, the models, what happens."""

    package: str
    bounds: str
    model_types: tuple[str, ...]
    words: str
    cure: str


CONVOLVING = (
    "qwen2_vl", "qwen2_5_vl", "qwen2_5_omni", "qwen3_vl", "qwen3_vl_moe", "qwen3_omni_moe", "qwen3_5", "qwen3_5_moe",
    "glm4v", "glm4v_moe", "glm_ocr",
)  # fmt: skip
"""Models with a Conv3d (transformers 5.6.0, models/…/modeling_….py)."""
BROKEN = (
    # model/loader.py: load_model
    Broken(
        "torch",
        ">=2.9.0,<2.10.0",
        CONVOLVING,
        "Unsupported torch version detected: torch 2.9.x with Conv3D.",
        "pip install 'torch<2.9' or 'torch>=2.10', with torchvision and torchaudio of the same release",
    ),
)


def model_broken_by_version(view: RunView) -> Iterator[Found]:
    """A model that cannot be trained with what is installed.

    ## What it finds
    torch 2.9 beside Qwen-VL, Qwen-Omni and GLM-V models; shift_attn with a Llama model; a llamafactory from git whose
    MiniCPM-V plugin returns nothing. Where no llamafactory is installed beside mmcurate, only shift_attn is known.
    Models that do not train with the versions of LLaMA-Factory and transformers are ENV201's.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops when the model is loaded: "Unsupported torch version detected: torch 2.9.x with Conv3D."
    (model/loader.py), and for shift_attn with the demand for a transformers below 4.48
    (model/model_utils/longlora.py), which it refuses itself. Its main branch from ca50f22c3 (2026-05-12) to 40e786d01
    (2026-05-20) lost the return of MiniCPMVPlugin.get_mm_inputs: each run with media ends with "argument of type
    'NoneType' is not iterable".

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```text environment
    llamafactory 0.9.5, torch 2.9.1
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```text environment
    llamafactory 0.9.5, torch 2.11.0
    ```

    ## Fix
    Install the versions that are named, or remove shift_attn.
    """
    if not is_train(view):
        return
    own_type = model_type_of(view)
    if view.settings.raw.get("shift_attn") is True and own_type == "llama":
        found = "shift_attn: true for a Llama model needs transformers <4.48, which the trainer refuses"
        yield in_yaml(view, "shift_attn", found, "shift_attn: false")
    trainer = view.version_of("llamafactory")
    if trainer is None:
        return
    for broken in BROKEN:
        version = view.version_of(broken.package)
        if version is None or not installed.accepted(version, broken.bounds):
            continue
        if own_type in broken.model_types or (not own_type and stands_for(view, broken.model_types)):
            found = f'{broken.package} {version} is installed: "{broken.words}"'
            yield in_yaml(view, "model_name_or_path", found, f"{broken.package} outside {broken.bounds}", broken.cure)
    if view.template is not None and view.template.plugin == "MiniCPMVPlugin" and trainer != trainer_version():
        folder = view.folder_of("llamafactory") or Path()
        if minicpm_returns(folder / "llamafactory" / "data" / "mm_plugin.py") is False:
            found = f"llamafactory {trainer}: MiniCPMVPlugin.get_mm_inputs returns nothing"
            cure = f"pip install llamafactory=={trainer_version()}"
            yield in_yaml(view, "template", found, f"llamafactory {trainer_version()}", cure)


def stands_for(view: RunView, model_types: tuple[str, ...]) -> bool:
    """Whether the template is one of these models' own."""
    name = view.settings.template
    return name in {template for model_type in model_types for template in MODEL_TYPES[model_type]} - {"mimo_vl"}


def another_trainer(view: RunView) -> Iterator[Found]:
    """Another llamafactory than the one that is replayed.

    ## What it finds
    A llamafactory, or a transformers under it, in another version than those whose behaviour is predicted.

    ## Why it matters
    What becomes of a row differs between releases: of tags, of truncation, of the checks at start, of the keys that
    there are.

    ## Bad
    ```text environment
    llamafactory 0.9.4
    ```

    ## Good
    ```text environment
    llamafactory 0.9.5
    ```

    ## Fix
    Install that release, or compare with `curate check --verify-with-trainer 50`.
    """
    trainer = view.settings.trainer
    if view.settings.file is None or view.version_of("llamafactory") is None:
        return
    if trainer.llamafactory != trainer_version():
        found = f"llamafactory {trainer.llamafactory} is installed"
        yield in_yaml(view, "", found, f"{trainer_version()}, which is replayed")
    elif trainer not in tabled():
        known = ", ".join(each.transformers for each in tabled())
        found = f"transformers {trainer.transformers} is installed, replayed as {nearest(trainer).transformers}"
        yield in_yaml(view, "", found, f"one of {known}")
