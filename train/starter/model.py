"""Which model is meant, and what of it decides a train yaml: template, own code, longest input, size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from train.starter.places import Places
from validators.budgets.models import KnownModel, find_model, known_models
from validators.budgets.templates import Template, find_template
from validators.budgets.text import model_config, model_folder, read_config
from validators.errors import UsageFault
from validators.llamafactory.environment.families import MODEL_TYPES
from validators.probes import installed
from validators.probes.safetensors import tensors_of
from validators.replay.requirements import TRAINER_BOUNDS
from validators.settings import trainer_version


class NotTrainable(Exception):
    """The model is known, but the trainer cannot train it so: without a template, or whole where it is quantized."""


@dataclass(frozen=True, slots=True)
class Published:
    """What model cards say: all parameters, and config.json's max_position_embeddings. None: not known."""

    parameters: float | None
    positions: int | None


# the last part of the hub name in small letters begins with; sizes in a Qwen's own name are read from there
PUBLISHED: tuple[tuple[str, Published], ...] = (
    ("minicpm-v-2_6", Published(8.1e9, 32768)),
    ("minicpm-v-4_5", Published(8.7e9, 40960)),
    ("minicpm-v-4_6", Published(1.3e9, 262144)),
    ("minicpm-v-4", Published(4.1e9, 32768)),
    ("minicpm-o-2_6", Published(8.7e9, 32768)),
    ("minicpm-o-4_5", Published(9.4e9, 40960)),
    ("qwen2-vl", Published(None, 32768)),
    ("qwen2.5-vl", Published(None, 128000)),
    ("qwen3-vl", Published(None, 262144)),
)
HUB_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
QUANTIZED = re.compile(r"[-_](awq|gptq|int4|int8|bnb|gguf)(?=$|[-_])")
MINICPM = ("minicpm_v", "minicpm_o")
OWN_CODE = (*MINICPM, "dots_ocr", "intern_s1", "keye_vl", "kimi_vl", "youtu_vl")
"""Templates of models without a class in transformers 5.6.0: their repositories bring it (trust_remote_code)."""
RENAMED = {"openbmb/MiniCPM-V-4_6": "openbmb/MiniCPM-V-4.6"}
"""llamafactory 0.9.5's name → the one that the repository has (recipes.vllm.ai/openbmb/MiniCPM-V-4.6)."""
FIRST_WITH = {"minicpmv4_6": "5.7.0"}
"""The first transformers with a class, for types that LLaMA-Factory lists and its newest transformers lacks."""


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
    blocked: str = ""
    """Why what is installed here cannot train it; "" where nothing is known against it."""
    known: str = ""
    """What may go wrong with what is installed."""


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
    facts = published(name)
    own_code = bool(config.get("auto_map")) if config else chosen.name in OWN_CODE
    return Model(
        name=name,
        slug=re.sub(
            r"[^a-z0-9_.-]+", "-", Path(given).resolve().name.lower() if local else name.split("/")[-1].lower()
        ),
        template=chosen,
        others=fitting[1:],
        own_code=own_code,
        positions=positions_of(config) or facts.positions,
        parameters=parameters_of(given if local else name) or facts.parameters,
        quantized="quantization_config" in config or bool(QUANTIZED.search(name.lower())),
        chat=chat_model(name),
        blocked=blocked(chosen, config, own_code),
        known=known_trouble(chosen, own_code),
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


def published(name: str) -> Published:
    """What is known of a hub name."""
    tail = name.rsplit("/", maxsplit=1)[-1].lower().replace("4.6", "4_6")
    size = re.search(r"(?:^|[-_])(\d+(?:\.\d+)?)b(?=$|[-_])", tail)
    own = float(size[1]) * 1e9 if size else None
    facts = next((facts for start, facts in PUBLISHED if tail.startswith(start)), Published(None, None))
    return Published(own or facts.parameters, facts.positions)


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


def native_types(template: Template, config: Mapping[str, object]) -> Iterator[str]:
    """The model types that transformers needs a class for."""
    said = config.get("model_type")
    if isinstance(said, str):
        yield said
        return
    for model_type, names in MODEL_TYPES.items():
        if template.name in names:
            yield model_type


def blocked(template: Template, config: Mapping[str, object], own_code: bool) -> str:
    """Why the installed transformers cannot load the model; "" where it can, or none is installed."""
    version, folder = installed.version_of("transformers"), installed.folder_of("transformers")
    types = [*native_types(template, config)]
    if own_code or version is None or folder is None or not types:
        return ""
    if any((folder / "transformers" / "models" / model_type).is_dir() for model_type in types):
        return ""
    said = f"transformers {version}, which is installed, has no class for {' or '.join(types)}"
    first = FIRST_WITH.get(types[0])
    if first is None:
        return said
    bounds = TRAINER_BOUNDS[0].removeprefix("transformers")
    return (
        f"{said}: {first} is the first that has one, and LLaMA-Factory {trainer_version()} takes {bounds} "
        "(DISABLE_VERSION_CHECK=1 lets it try another)"
    )


def known_trouble(template: Template, own_code: bool) -> str:
    """What is known to go wrong between a model's own code and the installed transformers."""
    version = installed.version_of("transformers")
    if not own_code or template.name not in MINICPM or version is None or not installed.accepted(version, ">=5.0.0"):
        return ""
    return (
        f"MiniCPM's own code was written for transformers 4. Where loading it under {version}, which is installed, "
        "ends with \"has no attribute 'all_tied_weights_keys'\", install an older one within LLaMA-Factory's bounds "
        f"({TRAINER_BOUNDS[0]})"
    )
