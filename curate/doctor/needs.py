"""The table of checks over an environment and one run's train yaml: what that run needs besides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curate.doctor.checks import TORCHCODEC_DECODES, has_compiler
from curate.doctor.diagnosis import Diagnosis, error, note, warning
from curate.doctor.environment import Environment
from curate.doctor.versions import dotted, install, parse_requirement, release, tested
from validators.budgets.templates import find_template
from validators.llamafactory.environment.choose import needed_environment
from validators.llamafactory.environment.run import trained_model
from validators.llamafactory.environment.support import Support
from validators.llamafactory.trainer import Trainer
from validators.model import MediaKind
from validators.probes.installed import accepted
from validators.replay.arguments import exists
from validators.replay.requirements import BITSANDBYTES, DEMANDS, FLASH, LOGGERS, QUANTIZERS
from validators.settings import read_yaml, settings_of

AMPERE = (8, 0)
LITTLE_SHARED_MEMORY = 128 * 2**20
"""Docker's default /dev/shm is 64 MiB."""
READERS: Mapping[MediaKind, tuple[str, str]] = {
    MediaKind.IMAGE: ("pillow", "images"),
    MediaKind.VIDEO: ("av", "videos"),
    MediaKind.AUDIO: ("torchaudio", "sounds"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One train yaml: its keys as written, and the DeepSpeed file that it names."""

    file: str
    keys: Mapping[str, object] = field(default_factory=dict)
    deepspeed: Mapping[str, object] | None = None
    """The file's contents; None where the yaml names none, or one that cannot be read."""

    def asks(self, key: str) -> bool:
        """Whether a key is set to something that counts as yes."""
        return self.keys.get(key) not in (None, False, "", "false", "False", "no", 0)


@dataclass(frozen=True, slots=True)
class Need:
    """A check over a run: its name, and what it finds."""

    name: str
    find: Callable[[Environment, Run], Iterator[Diagnosis]]


def read_run(file: Path) -> Run:
    """Read a train yaml and its DeepSpeed file; UsageFault where the yaml cannot be read."""
    keys = read_yaml(file)
    named = keys.get("deepspeed")
    contents = None
    if isinstance(named, str):
        try:
            contents = json.loads(Path(named).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            contents = None
    elif isinstance(named, dict):
        contents = named
    return Run(str(file), keys, contents if isinstance(contents, dict) else None)


def demanded_packages(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """A key that llamafactory takes only with its package."""
    for key, requirements in DEMANDS.items():
        for text in requirements if run.asks(key) else ():
            yield from demand(environment, run, key, text, "hparams/parser.py: _check_extra_dependencies")
    if run.asks("quantization_bit"):
        method = str(run.keys.get("quantization_method") or "bnb").lower()
        if method in QUANTIZERS:
            source = "model/model_utils/quantization.py"
            yield from demand(environment, run, "quantization_bit", QUANTIZERS[method], source)
    optimizer = str(run.keys.get("optim") or "")
    if optimizer in BITSANDBYTES:
        yield from demand(environment, run, f"optim: {optimizer}", "bitsandbytes", "transformers' trainer_optimizer.py")


def demand(environment: Environment, run: Run, key: str, text: str, source: str) -> Iterator[Diagnosis]:
    """One requirement of one key."""
    parsed = parse_requirement(text, environment)
    if parsed is None:
        return
    name, bounds = parsed
    package = environment.package(name)
    if package is None or not accepted(package.version, bounds):
        yield error(
            f"{key} in {run.file}; {name} {f'is {package.version}' if package else 'is not installed'}",
            f"the run stops at start: {key.split(':', maxsplit=1)[0]} needs {text}",
            tested(environment, name) if name == "deepspeed" else install(text),
            source,
        )


def reporters(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """report_to names a tracker that is not installed."""
    value = run.keys.get("report_to")
    for name in value if isinstance(value, list) else [value]:
        packages = LOGGERS.get(name, ()) if isinstance(name, str) else ()
        if packages and not any(environment.package(package) for package in packages):
            yield error(
                f"report_to: {name} in {run.file}; {packages[0]} is not installed",
                "the run stops when the trainer is made",
                f"{install(packages[0])}; or report_to: none",
                "transformers' integrations/integration_utils.py",
            )


def half_precision(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """bf16 or fp16 where there is no GPU for it (transformers 5.6.0: TrainingArguments._validate_args)."""
    driver = environment.driver
    if driver.other or environment.platform != "linux":
        return
    for key in ("bf16", "fp16", "pure_bf16"):
        if not run.asks(key):
            continue
        # the trainer lets bf16 pass on a CPU that was asked for; fp16 and pure_bf16 it does not
        if not driver.gpus and not (key == "bf16" and run.asks("use_cpu")):
            yield error(
                f"{key}: true in {run.file}, no GPU here",
                'the run stops at start: "Your setup doesn\'t support bf16/gpu"'
                if key == "bf16"
                else f"the run stops: {key} needs a GPU",
                f"train on a GPU; or {key}: false and use_cpu: true, for a trial run",
                driver.evidence,
            )
        for gpu in driver.gpus if "bf16" in key else ():
            if (0, 0) < gpu.capability < AMPERE:
                yield warning(
                    f"{key}: true in {run.file}; {gpu.name} has compute capability {dotted(gpu.capability)}",
                    "GPUs before Ampere (8.0) have no bf16 units: it is emulated, and slow",
                    "fp16: true instead of bf16",
                    driver.evidence,
                )


def flash_attention(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """flash_attn: fa2 that llamafactory cannot give, and leaves out with one line in the log."""
    if str(run.keys.get("flash_attn") or "").lower() != "fa2" or environment.driver.other:
        return
    package = environment.package("flash-attn")
    trainer = trainer_of(environment)
    if trainer is not None and trainer.has("flash-attention-without-sink"):
        used = package is not None and accepted(package.version, FLASH) and bool(environment.driver.gpus)
        yield (error if used else warning)(
            f"flash_attn: fa2 in {run.file}; transformers {trainer.transformers}",
            "with a GPU and flash-attn, the first step ends with \"'NoneType' object has no attribute 'to'\"",
            f"flash_attn: sdpa; or another transformers: curate env {run.file}",
            "transformers' integrations/flash_attention.py: flash_attention_forward",
        )
        return
    if package is None or not accepted(package.version, FLASH):
        found = f"flash-attn {package.version}" if package else "flash-attn is not installed"
    elif not environment.driver.gpus:
        found = "no GPU here"
    else:
        return
    yield warning(
        f"flash_attn: fa2 in {run.file}; {found}",
        'llamafactory logs "FlashAttention-2 is not installed." and trains on with the model\'s own attention',
        "pip install --no-build-isolation flash-attn; or flash_attn: sdpa, which says what happens",
        "model/model_utils/attention.py: configure_attn_implementation; transformers' is_flash_attn_2_available",
    )


def deepspeed_file(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """The yaml names a DeepSpeed file that is not there or is no JSON object."""
    named = run.keys.get("deepspeed")
    if isinstance(named, str) and named and run.deepspeed is None:
        yield error(
            f"deepspeed: {named} in {run.file}: {'no JSON object' if exists(named) else 'no such file'}",
            "paths in a train yaml start from the folder that llamafactory-cli is run in",
            "run from the folder that the path starts in; or write it whole",
            run.file,
        )


def deepspeed_offload(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """Optimizer offload without a compiler for its operator."""
    zero = run.deepspeed.get("zero_optimization") if run.deepspeed else None
    offload = zero.get("offload_optimizer") if isinstance(zero, dict) else None
    if isinstance(offload, dict) and offload.get("device") in ("cpu", "nvme") and not has_compiler(environment):
        yield error(
            f"offload_optimizer in {run.keys.get('deepspeed')}; no C++ compiler here",
            "deepspeed compiles cpu_adam when the optimizer is made: the run stops after the model is loaded",
            "apt-get install g++ ninja-build (Debian, Ubuntu)",
            "deepspeed/ops/op_builder/builder.py",
        )


def deepspeed_launch(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """DeepSpeed on one device without torchrun."""
    alone = len(environment.driver.gpus) <= 1 and not environment.driver.other
    if run.asks("deepspeed") and alone and not environment.enabled("FORCE_TORCHRUN"):
        yield note(
            f"deepspeed in {run.file}, {len(environment.driver.gpus)} GPUs, FORCE_TORCHRUN not set",
            'llamafactory-cli train starts torchrun by itself only for two GPUs or more, and stops: "Please use '
            '`FORCE_TORCHRUN=1` to launch DeepSpeed training."',
            "curate train, which sets it; or FORCE_TORCHRUN=1 llamafactory-cli train",
            "launcher.py and hparams/parser.py",
        )


def template_modalities(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """What reads the media that the yaml's template takes."""
    name = run.keys.get("template")
    template = find_template(name) if isinstance(name, str) else None
    if template is None:
        return
    for kind, (package, media) in READERS.items():
        if template.accepts(kind) and environment.package(package) is None:
            yield error(
                f"template: {name} in {run.file} takes {media}; {package} is not installed",
                f"the first of the {media} stops the run",
                tested(environment, package),
                "data/template.py and data/mm_plugin.py",
            )
    audio = environment.package("torchaudio")
    if (
        template.accepts(MediaKind.AUDIO)
        and audio is not None
        and release(audio.version) >= TORCHCODEC_DECODES
        and environment.package("torchcodec") is None
    ):
        yield error(
            f"template: {name} in {run.file} takes sounds; torchaudio {audio.version} without torchcodec",
            "torchaudio.load decodes through torchcodec since 2.9: the first sound stops the run",
            tested(environment, "torchcodec"),
            "data/mm_plugin.py: _regularize_audios",
        )


def model_support(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """The run's model in the support table, under the versions that are here."""
    trainer = trainer_of(environment)
    if trainer is None:
        return
    model = trained_model(settings_of(run.keys, run.file))
    verdict = model.under(trainer)
    needed = needed_environment(model)
    helps = model.under(needed.trainer).result is not Support.FAILS
    cure = f"curate env {run.file}, which makes the environment {needed.name}" if helps else "another model"
    if verdict.result is Support.FAILS:
        there = verdict.ran or trainer
        yield (error if verdict.fails else warning)(
            f"{model.words} in {run.file}; {trainer.words()}",
            f'with {there.words()} the run stops: "{verdict.words}"',
            cure,
            "docs/support.md",
        )
    elif verdict.result is Support.NOT_RUN and model.told and verdict.family:
        yield note(
            f"{model.words} in {run.file}; {trainer.words()}",
            "nobody is known to have run it with these versions",
            "curate train --drill --dry-run tries a few rows",
            "docs/support.md",
        )


def trainer_of(environment: Environment) -> Trainer | None:
    """The trainer that is installed there; None without one."""
    llamafactory, transformers = environment.package("llamafactory"), environment.package("transformers")
    if llamafactory is None or transformers is None:
        return None
    return Trainer(llamafactory=llamafactory.version, transformers=transformers.version)


def shared_memory(environment: Environment, run: Run) -> Iterator[Diagnosis]:
    """Loader processes with a container's small /dev/shm."""
    size = environment.shared_memory
    workers = run.keys.get("dataloader_num_workers")
    if isinstance(workers, int) and workers > 0 and size is not None and size < LITTLE_SHARED_MEMORY:
        yield warning(
            f"dataloader_num_workers: {workers} in {run.file}; /dev/shm holds {size / 2**20:.0f} MiB",
            'loader processes pass batches through shared memory: "Bus error" when it is full',
            "docker run --shm-size 16g, or --ipc host; or dataloader_num_workers: 0",
            "/dev/shm",
        )


NEEDS = (
    Need("demanded-packages", demanded_packages),
    Need("reporters", reporters),
    Need("half-precision", half_precision),
    Need("flash-attention", flash_attention),
    Need("deepspeed-file", deepspeed_file),
    Need("deepspeed-offload", deepspeed_offload),
    Need("deepspeed-launch", deepspeed_launch),
    Need("template-modalities", template_modalities),
    Need("model-support", model_support),
    Need("shared-memory", shared_memory),
)
