"""The table of checks over an environment: one small pure function each, none knows of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.doctor.diagnosis import Diagnosis, error, note, warning
from curate.doctor.environment import LIBAVUTIL_OF_FFMPEG, NAMED, Environment, Package
from curate.doctor.versions import (
    cuda_of,
    dotted,
    fits,
    install,
    one_train,
    parse_requirement,
    pin_of,
    release,
    tested,
)
from validators.probes.installed import accepted
from validators.settings import trainer_version

FIRST_PYTHON = (3, 11)
"""mmcurate's and llamafactory 0.9.5's requires-python."""
TORCHCODEC_DECODES = (2, 9)
"""torchaudio.load goes through torchcodec since this release (torchaudio/__init__.py: load)."""
TORCH_OF_CODEC: Mapping[tuple[int, int], str] = {
    (0, 1): "==2.5.*",
    (0, 2): "==2.6.*",
    (0, 3): "==2.7.*",
    (0, 4): "==2.7.*",
    (0, 5): "==2.7.*",
    (0, 6): "==2.8.*",
    (0, 7): "==2.8.*",
    (0, 8): "==2.9.*",
    (0, 9): "==2.9.*",
    (0, 10): "==2.10.*",
    (0, 11): "==2.11.*",
}
"""torchcodec 0.17.0's README; each release's own README ends with the release before it."""
STABLE_CODEC = ">=2.11"
"""torchcodec from 0.12 on, by the same README: built on torch's stable interface."""
STABLE_AUDIO = (2, 11)
"""The first torchaudio whose extension is built on torch's stable interface, one file for any later torch."""
CUDA_13_CAPABILITY = (7, 5)
"""CUDA 13.0 dropped Maxwell, Pascal and Volta (NVIDIA's release notes of CUDA 13.0)."""
NULL_FIRST = frozenset({"26.0.1"})
"""pyarrow releases found to read past the end of JSON-lines lists that begin with null."""
LITTLE_SPACE = 2 * 10**9
DISTRIBUTIONS: Mapping[str, str] = {"pil": "pillow"}
"""Modules whose distribution has another name."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, and what it finds."""

    name: str
    find: Callable[[Environment], Iterator[Diagnosis]]


def python_too_old(environment: Environment) -> Iterator[Diagnosis]:
    """The interpreter is older than llamafactory accepts."""
    if release(environment.python) < FIRST_PYTHON:
        yield error(
            f"Python {environment.python}",
            f"mmcurate and llamafactory need Python {dotted(FIRST_PYTHON)} or newer",
            f"make the environment anew with Python {dotted(FIRST_PYTHON)}",
            environment.executable or "the interpreter",
        )


def trainer_missing(environment: Environment) -> Iterator[Diagnosis]:
    """No llamafactory: checking works, training does not."""
    if environment.package("llamafactory") is None:
        elsewhere = environment.tools.get("llamafactory-cli")
        yield note(
            "llamafactory is not installed here" + (f", but {elsewhere} is on PATH" if elsewhere else ""),
            "curate check needs none; curate train, export and --verify-with-trainer do",
            f"curate doctor --python {Path(elsewhere).with_name('python')}"
            if elsewhere
            else 'pip install "mmcurate[train]"; or curate doctor --python FILE, where the trainer is elsewhere',
            environment.prefix or "installed metadata",
        )


def trainer_other_version(environment: Environment) -> Iterator[Diagnosis]:
    """Another llamafactory than the one that is replayed."""
    package = environment.package("llamafactory")
    if package is not None and package.version != trainer_version():
        yield warning(
            f"llamafactory {package.version}",
            f"predictions replay {trainer_version()}, another release may treat rows otherwise",
            f"{install(f'llamafactory=={trainer_version()}')}; or compare: curate check --verify-with-trainer 50",
            "llamafactory's metadata",
        )


def trainer_without_return(environment: Environment) -> Iterator[Diagnosis]:
    """llamafactory from git of 2026-05-12 (ca50f22c3) to 2026-05-20 (40e786d01): MiniCPM-V gets no media."""
    if environment.trainer.minicpm_returns is False:
        commit = environment.trainer.commit
        yield error(
            "llamafactory's MiniCPMVPlugin.get_mm_inputs returns nothing"
            + (f" (commit {commit[:9]})" if commit else ""),
            "each MiniCPM-V and MiniCPM-o run with media stops with \"argument of type 'NoneType' is not iterable\" "
            "(main from ca50f22c3, 2026-05-12, to 40e786d01, 2026-05-20; pull request 10500)",
            install(f"llamafactory=={trainer_version()}"),
            "llamafactory/data/mm_plugin.py, read as text",
        )


def trainer_bounds(environment: Environment) -> Iterator[Diagnosis]:
    """Versions that llamafactory refuses at each start (extras/misc.py: check_dependencies)."""
    skipped = environment.enabled("DISABLE_VERSION_CHECK")
    for text in environment.trainer.bounds:
        parsed = parse_requirement(text, environment)
        if parsed is None:
            continue
        name, bounds = parsed
        package = environment.package(name)
        if package is not None and accepted(package.version, bounds):
            continue
        found = f"{name} {package.version}" if package else f"{name} is not installed"
        say = warning if skipped and package is not None else error
        yield say(
            f"{found}; llamafactory wants {bounds}",
            "DISABLE_VERSION_CHECK is set, so llamafactory starts with it, unsupported"
            if skipped and package is not None
            else "llamafactory-cli stops at start: check_dependencies",
            within(environment, name, bounds),
            "llamafactory/extras/misc.py, read as text",
        )


def within(environment: Environment, name: str, bounds: str) -> str:
    """The pip command for a version that llamafactory takes: the tested one, else by its Requires-Dist (the closer)."""
    trainer = environment.package("llamafactory")
    if name in wanted_names(environment):
        return tested(environment, name)
    return install(name + ((pin_of(trainer, name, environment) if trainer else "") or bounds))


def trainer_requirements(environment: Environment) -> Iterator[Diagnosis]:
    """What llamafactory's Requires-Dist asks for and pip would not leave so; all that is missing in one."""
    package = environment.package("llamafactory")
    enforced = {parsed[0] for text in environment.trainer.bounds if (parsed := parse_requirement(text, environment))}
    optional = {
        DISTRIBUTIONS.get(name.lower(), name.lower().replace("_", "-")) for name in environment.trainer.optional
    }
    evidence = "llamafactory's Requires-Dist"
    needed: dict[str, str] = {}
    for text in package.requires if package else ():
        parsed = parse_requirement(text, environment)
        if parsed is None or parsed[0] in enforced:
            continue
        name, bounds = parsed
        there = environment.package(name)
        if there is None:
            needed[name] = bounds
        elif not fits(there.version, bounds):
            yield warning(
                f"{name} {there.version}; llamafactory wants {bounds}",
                "outside the versions that llamafactory was released for; it does not check this one at start",
                within(environment, name, bounds),
                evidence,
            )
    for say, names, reason in (
        (error, sorted(needed.keys() - optional), "the installation is incomplete, and imports of these fail"),
        (
            warning,
            sorted(needed.keys() & optional),
            "llamafactory looks for it before use; what needs it will not work",
        ),
    ):
        if names:
            cure = install(*(name + needed[name] for name in names))
            yield say(f"not installed, and required by llamafactory: {', '.join(names)}", reason, cure, evidence)


def unmet_requirements(environment: Environment) -> Iterator[Diagnosis]:
    """What the packages named here require of one another and do not get; llamafactory and torch's train apart."""
    for owner in (environment.package(name) for name in NAMED):
        if owner is None or owner.name in ("mmcurate", "llamafactory"):
            continue
        for text in owner.requires:
            parsed = parse_requirement(text, environment)
            if parsed is None or (parsed[0] == "torch" and owner.name in ("torchvision", "torchaudio")):
                continue
            name, bounds = parsed
            there = environment.package(name)
            checked = owner.name == "transformers" and name in environment.checked_at_import
            if there is not None and (accepted if checked else fits)(there.version, bounds):
                continue
            yield (error if checked or there is None else warning)(
                f"{name} {there.version if there else 'is not installed'}; {owner.name} {owner.version} wants {bounds}",
                "transformers compares versions when it is imported, and refuses"
                if checked
                else f"outside what {owner.name} was released for"
                if there
                else f"imports of {owner.name} fail, or parts of it",
                install(f"{name}{bounds}"),
                f"{owner.name}'s Requires-Dist"
                + (" and transformers/dependency_versions_check.py, read as text" if checked else ""),
            )


def wanted_names(environment: Environment) -> set[str]:
    """Packages that mmcurate[train] names."""
    return {parsed[0] for text in environment.tested if (parsed := parse_requirement(text, environment))}


def torch_companions(environment: Environment) -> Iterator[Diagnosis]:
    """torchvision and torchaudio whose metadata pins another torch."""
    torch = environment.package("torch")
    for name in ("torchvision", "torchaudio"):
        package = environment.package(name)
        pin = pin_of(package, "torch", environment) if package else ""
        if package is None or not pin:
            continue
        if torch is None or not fits(torch.version, pin):
            yield error(
                f"{name} {package.version} with {f'torch {torch.version}' if torch else 'no torch'}",
                f"{name} {package.version} is built for torch{pin}: its import fails on missing operators or symbols",
                one_train(environment),
                f"{name}'s Requires-Dist",
            )


def torchaudio_release(environment: Environment) -> Iterator[Diagnosis]:
    """torchaudio of another release than torch, where its metadata pins nothing."""
    torch, audio = environment.package("torch"), environment.package("torchaudio")
    if torch is None or audio is None or pin_of(audio, "torch", environment):
        return
    builds = cuda_of(torch.build), cuda_of(audio.build)
    if release(torch.version) == release(audio.version) or (all(builds) and builds[0] != builds[1]):
        return  # of one release, or refused at import already (cuda_builds)
    stable = STABLE_AUDIO <= release(audio.version) < release(torch.version)
    yield (note if stable else warning)(
        f"torchaudio {audio.version} with torch {torch.version}",
        "torchaudio is built on torch's stable interface since 2.11, so a newer torch of the same CUDA loads it; "
        "this pair was not tested"
        if stable
        else "torchaudio 2.N is released for torch 2.N; its metadata pins nothing, so pip lets any pair through",
        one_train(environment),
        "versions in the metadata",
    )


def cuda_builds(environment: Environment) -> Iterator[Diagnosis]:
    """torchaudio or torchvision for another CUDA than torch: both refuse to be imported."""
    torch = environment.package("torch")
    mine = cuda_of(torch.build) if torch else None
    if torch is None or mine is None:
        return
    for name in ("torchaudio", "torchvision"):
        package = environment.package(name)
        theirs = cuda_of(package.build) if package else None
        if package is None or theirs is None:
            continue
        # torchvision/extension.py compares majors, torchaudio/_extension/utils.py majors and minors
        if theirs[0] != mine[0] or (name == "torchaudio" and theirs != mine):
            yield error(
                f"{name} {package.version} for CUDA {dotted(theirs)}, torch {torch.version} for CUDA {dotted(mine)}",
                f'`import {name}` raises "compiled with different CUDA", and llamafactory imports it at start: '
                "each of its commands dies",
                one_train(environment),
                f"{name}/version.py and torch/version.py, read as text",
            )


def codec_missing(environment: Environment) -> Iterator[Diagnosis]:
    """torchaudio that decodes through torchcodec, without torchcodec."""
    audio = environment.package("torchaudio")
    if audio and release(audio.version) >= TORCHCODEC_DECODES and environment.package("torchcodec") is None:
        yield warning(
            f"torchaudio {audio.version} without torchcodec",
            "torchaudio.load decodes through torchcodec since 2.9: the first sound stops the run",
            tested(environment, "torchcodec"),
            "installed metadata",
        )


def codec_release(environment: Environment) -> Iterator[Diagnosis]:
    """torchcodec built for another torch."""
    codec, torch = environment.package("torchcodec"), environment.package("torch")
    if codec is None or torch is None:
        return
    bounds, evidence = torch_of_codec(codec)
    if not fits(torch.version, bounds):
        yield error(
            f"torchcodec {codec.version} with torch {torch.version}",
            f'torchcodec {dotted(release(codec.version))} is built for torch {bounds}: "Could not load libtorchcodec"',
            one_train(environment),
            evidence,
        )


def torch_of_codec(codec: Package) -> tuple[str, str]:
    """The torch that a torchcodec is built for, as bounds, and how that is known."""
    own = release(codec.version)
    listed = codec.torch_of.get(dotted(own), "")
    if listed:
        return listed if listed[0] in "<>=!~" else f"=={listed}.*", "the table of releases in torchcodec's metadata"
    known = TORCH_OF_CODEC.get(own) or (STABLE_CODEC if own > max(TORCH_OF_CODEC) else "")
    return known, "the table of releases in torchcodec 0.17.0's README"


def codec_without_ffmpeg(environment: Environment) -> Iterator[Diagnosis]:
    """torchcodec without a libavutil that one of its builds loads."""
    codec = environment.package("torchcodec")
    if codec is None or environment.platform != "linux":
        return
    builds = environment.torchcodec_ffmpegs or tuple(LIBAVUTIL_OF_FFMPEG)
    loads = [LIBAVUTIL_OF_FFMPEG[build] for build in builds if build in LIBAVUTIL_OF_FFMPEG]
    if set(loads) & set(environment.libavutil):
        return
    seen = ", ".join(f"libavutil.so.{major}" for major in environment.libavutil) or "no libavutil"
    yield error(
        f"torchcodec {codec.version} and {seen}",
        f"torchcodec loads FFmpeg {min(builds)} to {max(builds)} as shared libraries: without them "
        '"Could not load libtorchcodec" at the first sound; the ffmpeg program alone is not enough',
        "apt-get install ffmpeg (Debian, Ubuntu); or conda install -c conda-forge 'ffmpeg<9'",
        "the dynamic loader's cache, LD_LIBRARY_PATH, and the environment's lib folder",
    )


def driver_too_old(environment: Environment) -> Iterator[Diagnosis]:
    """torch built for a newer CUDA than the driver runs."""
    torch = environment.package("torch")
    cuda = cuda_of(torch.build) if torch else None
    driver = environment.driver
    if torch and cuda and driver.version and driver.cuda[0] and cuda[0] > driver.cuda[0]:
        yield error(
            f"torch {torch.version} for CUDA {dotted(cuda)}, driver {driver.version} for CUDA {dotted(driver.cuda)}",
            'a driver runs no newer CUDA major: "The NVIDIA driver on your system is too old"; torch sees no GPU',
            f"update the driver, or install torch from https://download.pytorch.org/whl/cu{driver.cuda[0]}…",
            f"{driver.evidence} and torch/version.py",
        )


def gpu_too_old(environment: Environment) -> Iterator[Diagnosis]:
    """A GPU that torch's CUDA has no code for."""
    torch = environment.package("torch")
    cuda = cuda_of(torch.build) if torch else None
    for gpu in environment.driver.gpus if cuda and cuda[0] >= 13 else ():
        if (0, 0) < gpu.capability < CUDA_13_CAPABILITY:
            yield error(
                f"{gpu.name} (compute capability {dotted(gpu.capability)}) with torch {torch.version if torch else ''}"
                f" for CUDA {dotted(cuda or (0, 0))}",
                'CUDA 13 has no code for Maxwell, Pascal and Volta: "no kernel image is available"',
                "install torch built for CUDA 12.6, from https://download.pytorch.org/whl/cu126",
                environment.driver.evidence,
            )


def torch_without_cuda(environment: Environment) -> Iterator[Diagnosis]:
    """A GPU beside a torch for CPUs."""
    torch = environment.package("torch")
    if torch and torch.build == "cpu" and environment.driver.gpus:
        yield warning(
            f"torch {torch.version} for CPUs, with {environment.driver.gpus[0].name}",
            "this torch has no CUDA: training runs on the CPU",
            one_train(environment),
            f"torch/version.py and {environment.driver.evidence}",
        )


def arrow_null_first(environment: Environment) -> Iterator[Diagnosis]:
    """pyarrow that reads JSON lines past the end of a list."""
    arrow = environment.package("pyarrow")
    if arrow and arrow.version in NULL_FIRST:
        yield warning(
            f"pyarrow {arrow.version}",
            "lists that begin with null in JSON lines are read past their end: rows get the values of others, "
            "silently or with a SystemError; curate check names such rows",
            "write [] or leave the null out; or install another pyarrow",
            "pyarrow's metadata",
        )


def flash_attention_build(environment: Environment) -> Iterator[Diagnosis]:
    """A flash-attn wheel built for another torch."""
    import re

    flash, torch = environment.package("flash-attn"), environment.package("torch")
    built = re.search(r"torch(\d+)\.(\d+)", flash.version) if flash else None
    if flash and torch and built and (int(built[1]), int(built[2])) != release(torch.version):
        yield error(
            f"flash-attn {flash.version} with torch {torch.version}",
            f"the wheel is built for torch {built[1]}.{built[2]}: its import fails with undefined symbols, "
            "and transformers imports it for flash_attn: fa2",
            "pip install --no-build-isolation --force-reinstall --no-deps flash-attn",
            "the local part of flash-attn's version",
        )


def deepspeed_without_compiler(environment: Environment) -> Iterator[Diagnosis]:
    """deepspeed, which compiles its operators when they are first used, without a compiler."""
    deepspeed = environment.package("deepspeed")
    if deepspeed and not has_compiler(environment):
        yield warning(
            f"deepspeed {deepspeed.version} without a C++ compiler",
            "deepspeed compiles its operators at first use: cpu_adam of optimizer offload, and on machines without "
            "a GPU the communication operator",
            "apt-get install g++ (Debian, Ubuntu); or set CXX",
            "no c++, g++ or clang++ on PATH, and no CXX",
        )


def has_compiler(environment: Environment) -> bool:
    """Whether torch's extension builder would find a C++ compiler (torch/utils/cpp_extension.py: CXX, else c++)."""
    return bool(environment.variables.get("CXX")) or any(
        name in environment.tools for name in ("c++", "g++", "clang++")
    )


def decord_twice(environment: Environment) -> Iterator[Diagnosis]:
    """Two distributions that own one module."""
    if environment.package("decord") and environment.package("decord2"):
        yield warning(
            "decord and decord2 are both installed",
            "both write the module decord: what is imported depends on which came last, and removing one breaks both",
            "pip uninstall -y decord decord2 && pip install decord2",
            "installed metadata",
        )


def little_space(environment: Environment) -> Iterator[Diagnosis]:
    """A nearly full disk."""
    for disk in environment.disks:
        if disk.free < LITTLE_SPACE:
            yield warning(
                f"{disk.free / 1e9:.1f} GB free for the {disk.purpose}",
                "checkpoints and caches take gigabytes, and a full disk ends the run while it saves",
                f"free space at {disk.path}"
                + ("" if disk.purpose.startswith("work") else ", or set HF_HOME elsewhere"),
                disk.path,
            )


CHECKS = (
    Check("python-too-old", python_too_old),
    Check("trainer-missing", trainer_missing),
    Check("trainer-other-version", trainer_other_version),
    Check("trainer-without-return", trainer_without_return),
    Check("trainer-bounds", trainer_bounds),
    Check("trainer-requirements", trainer_requirements),
    Check("unmet-requirements", unmet_requirements),
    Check("torch-companions", torch_companions),
    Check("torchaudio-release", torchaudio_release),
    Check("cuda-builds", cuda_builds),
    Check("codec-missing", codec_missing),
    Check("codec-release", codec_release),
    Check("codec-without-ffmpeg", codec_without_ffmpeg),
    Check("driver-too-old", driver_too_old),
    Check("gpu-too-old", gpu_too_old),
    Check("torch-without-cuda", torch_without_cuda),
    Check("arrow-null-first", arrow_null_first),
    Check("flash-attention-build", flash_attention_build),
    Check("deepspeed-without-compiler", deepspeed_without_compiler),
    Check("decord-twice", decord_twice),
    Check("little-space", little_space),
)
