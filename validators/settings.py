"""What of a train yaml decides the fate of rows, with the trainer's defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.constructor import ConstructorError

from validators.errors import UsageFault
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.numbers import beyond_floats, bounded_whole

# Keys of the branch dev-nhb of tc-mb/LLaMA-Factory (commit 9546b62a, hparams/model_args.py), unknown upstream.
FORK_KEYS = ("enable_high_fps", "double_frame_duration", "packing_maxlen", "time_scale")
PLUGIN = "train.plugins.minicpm_high_fps"
COLLATION = "train.plugins.minicpm_collation"
"""What `curate train` adds to LLaMA-Factory for MiniCPM, so that rows of several modalities share a batch."""
FORK = "the branch dev-nhb of tc-mb/LLaMA-Factory"


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """Settings of llamafactory 0.9.5; names and defaults are the trainer's (hparams/data_args.py, model_args.py)."""

    file: str | None = None
    """The yaml they come from, None when given on the command line."""
    template: str | None = None
    model: str | None = None
    tokenizer: str | None = None
    """A folder or tokenizer.json that overrides the model's own."""
    datasets: tuple[str, ...] = ()
    dataset_dir: str = "data"
    media_dir: str | None = None
    cutoff_len: int = 2048
    default_system: str | None = None
    packing: bool = False
    neat_packing: bool = False
    mask_history: bool = False
    train_on_prompt: bool = False
    enable_thinking: bool | None = True
    preserve_thinking: bool = False
    tool_format: str | None = None
    max_samples: int | None = None
    image_max_pixels: int = 768 * 768
    image_min_pixels: int = 32 * 32
    image_do_pan_and_scan: bool = False
    crop_to_patches: bool = False
    video_max_pixels: int = 256 * 256
    video_min_pixels: int = 16 * 16
    video_fps: float = 2.0
    video_maxlen: int = 128
    audio_sampling_rate: int = 16000
    enable_high_fps: bool = False
    """This and the next three: keys of FORK, which train/plugins/minicpm_high_fps.py gives the released trainer."""
    double_frame_duration: int = 30
    packing_maxlen: int = 3
    time_scale: float = 0.1
    raw: Mapping[str, object] = field(default_factory=dict)
    """Every key of the yaml as written."""
    trainer: Trainer = REFERENCE
    """The versions that the run will use."""
    environment: str = ""
    """The environment that the run will use: a locked one's name, or `installed`; "" where none was looked for."""

    @property
    def effective_cutoff(self) -> int:
        """The limit the processor applies: packing takes one token off (hparams/data_args.py: __post_init__)."""
        return self.cutoff_len - self.slack

    @property
    def slack(self) -> int:
        """What packing takes off cutoff_len, in tokens."""
        return 1 if self.packing or self.neat_packing else 0


def trainer_version() -> str:
    """The llamafactory whose behaviour is replayed."""
    return REFERENCE.llamafactory


class TrainerLoader(yaml.SafeLoader):
    """YAML as the trainer's own reader takes it: `1e-4` is a number, a date is text, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """The mapping; a ConstructorError where a key is repeated."""
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# OmegaConf 2.4.0, _yaml.py
TrainerLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
TrainerLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict[str, object]:
    """A train or merge yaml as a mapping; UsageFault with line and reason when it cannot be read."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), TrainerLoader)
    except FileNotFoundError as error:
        raise UsageFault(path, "no such file", "a LLaMA-Factory yaml") from error
    except IsADirectoryError as error:
        raise UsageFault(path, "a folder", "a LLaMA-Factory yaml") from error
    except UnicodeDecodeError as error:
        raise UsageFault(path, f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        tab = mark is not None and "'\\t'" in str(error.problem)
        found = "a tab in the indentation" if tab else f"not YAML: {error.problem}"
        raise UsageFault(where, found, "spaces for indentation" if tab else "`key: value` lines") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageFault(path, f"not YAML: {str(error).splitlines()[0]}", "`key: value` lines") from error
    except (ValueError, OverflowError) as error:  # `0x_`, `.` after a sign, more digits than Python reads
        raise UsageFault(
            path, f"a number that cannot be read: {error}", "numbers in digits, other text in quotes"
        ) from error
    if not isinstance(value, dict):
        raise UsageFault(path, f"a YAML {type(value).__name__}", "`key: value` lines")
    for key in beyond_floats(value):
        raise UsageFault(f"{path}: {key}", "a whole number of more than 308 digits", "a number that means something")
    return {str(key): item for key, item in value.items()}


PATHS = (
    "model_name_or_path", "adapter_name_or_path", "adapter_folder", "dataset_dir", "media_dir", "output_dir",
    "export_dir", "tokenized_path", "resume_from_checkpoint", "new_special_tokens_config",
)  # fmt: skip
"""Keys whose text is looked for on this machine; deepspeed may hold JSON instead."""


def refuse_impossible_paths(raw: Mapping[str, object], file: str) -> None:
    """UsageFault for text that no system takes for a path: a zero byte in it, or a name of more than 255 bytes."""
    for key in PATHS:
        value = raw.get(key)
        if not isinstance(value, str):
            continue
        encoded = value.encode("utf-8", "surrogatepass")
        if b"\0" in encoded or len(encoded) > 4000 or any(len(part) > 255 for part in re.split(rb"[/,]", encoded)):
            raise UsageFault(f"{file}: {key}", f"text of {len(encoded)} bytes that can be no path", "a path or a name")


def settings_of(raw: Mapping[str, object], file: str | None) -> TrainerSettings:
    """Take the keys that matter; a value of the wrong type keeps the default here, and rule CFG103 reports it."""
    known: dict[str, object] = {}
    for name, default in DEFAULTS.items():
        value = coerce(raw.get(name), default)
        if value is not None:
            known[name] = value
    datasets = raw.get("dataset")
    names = datasets.split(",") if isinstance(datasets, str) else datasets if isinstance(datasets, list) else []
    model = raw.get("model_name_or_path")
    return TrainerSettings(
        file=file,
        datasets=tuple(str(name).strip() for name in names if str(name).strip()),
        model=model if isinstance(model, str) else None,
        raw=dict(raw),
        **known,  # type: ignore[arg-type]
    )


# name -> a value of the type wanted (None: text)
DEFAULTS: Mapping[str, object] = {
    "template": None,
    "dataset_dir": None,
    "media_dir": None,
    "default_system": None,
    "tool_format": None,
    "cutoff_len": 2048,
    "max_samples": 0,
    "packing": False,
    "neat_packing": False,
    "mask_history": False,
    "train_on_prompt": False,
    "enable_thinking": False,
    "preserve_thinking": False,
    "image_max_pixels": 0,
    "image_min_pixels": 0,
    "image_do_pan_and_scan": False,
    "crop_to_patches": False,
    "video_max_pixels": 0,
    "video_min_pixels": 0,
    "video_fps": 0.0,
    "video_maxlen": 0,
    "audio_sampling_rate": 0,
    "enable_high_fps": False,
    "double_frame_duration": 0,
    "packing_maxlen": 0,
    "time_scale": 0.0,
}


def coerce(value: object, like: object) -> object | None:
    """The value if it is, or reads as, the type of `like`, a whole number cut at numbers.MOST; None otherwise."""
    if like is None:
        return value if isinstance(value, str) else None
    if isinstance(like, bool):
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if isinstance(like, float):
        return float(value) if isinstance(value, int | float) else None
    return bounded_whole(value) if isinstance(value, int) else None
