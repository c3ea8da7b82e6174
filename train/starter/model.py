"""Which model is meant, and what of it decides a train yaml: template, own code, longest input, size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from train.starter.places import Places
from validators.budgets.models import KnownModel, find_model, known_models
from validators.budgets.templates import Template, find_template
from validators.budgets.text import model_config, model_folder, read_config
from validators.errors import UsageFault
from validators.llamafactory.environment.choose import (
    RunEnvironment,
    TrainedModel,
    model_of,
    needed_environment,
    run_environment,
)
from validators.llamafactory.environment.families import MODEL_TYPES, ModelFamily
from validators.llamafactory.environment.support import Support
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.probes import installed
from validators.probes.safetensors import tensors_of
from validators.settings import trainer_version


class NotTrainable(Exception):
    """The model is known, but the trainer cannot train it so: without a template, or whole where it is quantized."""


HUB_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
QUANTIZED = re.compile(r"[-_](awq|gptq|int4|int8|bnb|gguf)(?=$|[-_])")
RENAMED = {"openbmb/MiniCPM-V-4_6": "openbmb/MiniCPM-V-4.6"}
"""llamafactory 0.9.5's name → the one that the repository has (recipes.vllm.ai/openbmb/MiniCPM-V-4.6)."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a train yaml names it."""

    name: str
    slug: str
    """A short name for folders."""
    template: Template
    others: tuple[str, ...]
    """Other templates that would fit what its config.json says."""
    own_code: bool
    """Whether trust_remote_code is needed."""
    positions: int | None
    """The longest input in tokens; None where it is not known."""
    parameters: float | None
    quantized: bool = False
    """Whether its weights are quantized: LoRA alone trains beside them, and its adapter cannot be merged."""
    chat: str = ""
    """The listed model that was taught to chat, where this one is its base."""
    trainer: Trainer = REFERENCE
    """The trainer of the environment that the run will use."""
    blocked: str = ""
    """Why that environment cannot train it; "" where nothing is known against it."""
    known: str = ""
    """What may go wrong in it."""


def choose_model(given: str, template: str | None, places: Places) -> Model:
    """The model of a hub name, of a short form of one, or of a local folder.

    NotTrainable where the trainer has no template for it and none was named; UsageFault for a name that tells nothing.
    """
    if not given.strip():
        raise UsageFault("--model", "no name", "a hub name, or a model's folder")
    local = Path(given).is_dir()
    known = None if local else find_known(given)
    if local and not (Path(given) / "config.json").is_file():
        raise UsageFault(f"--model {given}", "a folder without config.json", "a model's folder, or its name on the hub")
    if known is None and not local and not HUB_NAME.fullmatch(given):
        raise UsageFault(f"--model {given}", "no model that LLaMA-Factory lists", *suggestions(given))
    name = places.named(Path(given)) if local else given if known is None else hub_name(given, known)
    config = model_config(name if not local else given)
    fitting = fitting_templates(given, known, config) if template is None else (template,)
    if not fitting:
        raise NotTrainable(no_template(given, known, config))
    chosen = find_template(fitting[0])
    if chosen is None:
        raise UsageFault(
            f"--template {template}", "no such template", f"a template of LLaMA-Factory {trainer_version()}"
        )
    listed = () if known is None else known.templates
    trained = model_of(name, config, chosen.name, listed)
    environment = run_environment(trained, installed.trainer())
    facts = trained.families[0] if len(trained.families) == 1 else ModelFamily(name="")
    return Model(
        name=name,
        slug=re.sub(
            r"[^a-z0-9_.-]+", "-", Path(given).resolve().name.lower() if local else name.split("/")[-1].lower()
        ),
        template=chosen,
        others=fitting[1:],
        own_code=bool(config.get("auto_map")) if config else any(each.own_code for each in trained.families),
        positions=positions_of(config) or facts.positions,
        parameters=parameters_of(given if local else name) or size_named(name) or facts.parameters,
        quantized="quantization_config" in config or bool(QUANTIZED.search(name.lower())),
        chat=chat_model(name),
        trainer=environment.trainer,
        blocked=blocked(trained, environment),
        known=known_trouble(trained, environment),
    )


def normal(name: str) -> str:
    """A name without what people write differently: case, dots, dashes and underscores."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_known(given: str) -> KnownModel | None:
    """The listed model that a hub name or a short form of one means; None where it is none, or could be several."""
    exact = find_model(given)
    if exact is not None:
        return exact
    tail = given.rstrip("/").rsplit("/", maxsplit=1)[-1]
    wanted = normal(re.sub(r"[._]0(?![0-9])", "", tail))  # MiniCPM-V 4.0 is listed as MiniCPM-V-4
    by_name = {normal(name): model for name, model in known_models().items()}
    return next((by_name[key] for key in (wanted, f"{wanted}instruct", f"{wanted}chat") if key in by_name), None)


def hub_name(given: str, known: KnownModel) -> str:
    """The name to write: the known one, unless another owner's repository was named."""
    ours = RENAMED.get(known.name, known.name)
    if not HUB_NAME.fullmatch(given) or normal(given) == normal(known.name):
        return ours
    return given


def chat_model(name: str) -> str:
    """The hub name with -Instruct, where LLaMA-Factory lists that one too."""
    taught = known_models().get(f"{name.rsplit('/', maxsplit=1)[-1].lower()}-instruct")
    return "" if taught is None else taught.name


def suggestions(given: str) -> tuple[str, str]:
    """What was expected, and the nearest known names."""
    from difflib import get_close_matches

    by_name = {normal(name): model.name for name, model in known_models().items()}
    near = get_close_matches(normal(given), list(by_name), n=3, cutoff=0.6)
    cure = f"did you mean {', '.join(by_name[key] for key in near)}?" if near else ""
    return "a folder, or a hub name as owner/name", cure


def fitting_templates(given: str, known: KnownModel | None, config: Mapping[str, object]) -> tuple[str, ...]:
    """Templates for the model, the best first: those of its name before those of its config.json's model_type."""
    by_name = known or find_model(given)
    if by_name is not None and by_name.templates:
        return by_name.templates
    by_type = MODEL_TYPES.get(str(config.get("model_type")), ())
    quiet = tuple(name for name in by_type if name.endswith("_nothink"))
    if quiet and not thinks(given):
        return quiet + tuple(name for name in by_type if name not in quiet)
    return by_type


def thinks(given: str) -> bool:
    """Whether a model folder's own chat template opens thoughts."""
    folder = model_folder(given)
    if folder is None:
        return False
    jinja = folder / "chat_template.jinja"
    text = jinja.read_text(encoding="utf-8", errors="replace") if jinja.is_file() else ""
    return "<think>" in text + str(read_config(folder / "tokenizer_config.json").get("chat_template", ""))


def no_template(given: str, known: KnownModel | None, config: Mapping[str, object]) -> str:
    """Why there is none."""
    said = config.get("model_type")
    if known is not None:
        reason = f"LLaMA-Factory {trainer_version()} lists {known.name} as a base model, without a template"
    elif said:
        reason = f"LLaMA-Factory {trainer_version()} registers no template for {given}, a model of type {said!r}"
    else:
        reason = (
            f"{given} is not listed by LLaMA-Factory {trainer_version()}, and its config.json is not on this machine"
        )
    return f"{reason}; name one that fits with --template, or download the model and name its folder"


def size_named(name: str) -> float | None:
    """The number of parameters that a hub name gives, such as 7B; None where it gives none."""
    size = re.search(r"(?:^|[-_])(\d+(?:\.\d+)?)b(?=$|[-_])", name.rsplit("/", maxsplit=1)[-1].lower())
    return float(size[1]) * 1e9 if size else None


def positions_of(config: Mapping[str, object]) -> int | None:
    """config.json's max_position_embeddings, of the language model where it is a part."""
    for part in (config, *(config.get(key) for key in ("text_config", "llm_config", "thinker_config"))):
        value = part.get("max_position_embeddings") if isinstance(part, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def parameters_of(name: str) -> float | None:
    """All numbers in a model's safetensors files; None where they are not on this machine."""
    folder = model_folder(name)
    if folder is None:
        return None
    try:
        return float(sum(prod(tensor.shape) for tensor in tensors_of(folder).values())) or None
    except UsageFault:
        return None  # `curate check` says what is wrong with them


def blocked(model: TrainedModel, environment: RunEnvironment) -> str:
    """Why the environment cannot train the model, and what makes one that can; "" where nothing is known against it."""
    verdict = model.under(environment.trainer)
    if not verdict.fails:
        return ""
    needed = needed_environment(model)
    helps = model.under(needed.trainer).result is not Support.FAILS
    cure = f"; `curate env --make {needed.name}` makes an environment that trains it" if helps else ""
    return f'{model.words} fails with {environment.sentence()}: "{verdict.words}"{cure}'


def known_trouble(model: TrainedModel, environment: RunEnvironment) -> str:
    """What is known to go wrong with near versions or other code, or that nobody ran it; "" where it trains."""
    verdict = model.under(environment.trainer)
    if verdict.doubtful:
        return verdict.doubt(model.words, environment.sentence())
    if verdict.result is Support.NOT_RUN and verdict.family:
        return f"nobody is known to have run {model.words} with {environment.sentence()}"
    return ""
