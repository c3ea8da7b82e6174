"""A frozen snapshot of what is installed, taken from metadata and files: nothing of it is imported."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, requires
from pathlib import Path

from curate.doctor.gpu import Driver, read_driver
from validators.errors import UsageFault
from validators.probes.trainer_source import minicpm_returns

# What the report names, in its order; checks may ask for others (`Environment.package`).
NAMED = (
    "mmcurate", "llamafactory", "transformers", "torch", "torchvision", "torchaudio", "torchcodec", "accelerate",
    "peft", "trl", "deepspeed", "flash-attn", "datasets", "pyarrow", "av", "decord", "decord2", "pillow", "soundfile",
    "tokenizers", "huggingface-hub",
)  # fmt: skip
BUILT = ("torch", "torchvision", "torchaudio", "torchcodec")
"""Packages whose version.py tells the CUDA that they were built for (`2.11.0+cu130`); PyPI's metadata does not."""
VARIABLES = (
    "DISABLE_VERSION_CHECK", "FORCE_TORCHRUN", "NPROC_PER_NODE", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CXX", "HF_HOME",
    "HF_HUB_OFFLINE", "USE_V1", "USE_MCA",
)  # fmt: skip
TOOLS = ("ffmpeg", "c++", "g++", "clang++", "ninja", "nvcc", "git", "llamafactory-cli")
# torchcodec names its builds by FFmpeg (libtorchcodec_core7.so), the loader by libavutil
LIBAVUTIL_OF_FFMPEG = {4: 56, 5: 57, 6: 58, 7: 59, 8: 60, 9: 61}
INTERPRETER = (
    "import sys,json,platform;"
    "print(json.dumps([sys.path[1:],platform.python_version(),sys.prefix,sys.platform,sys.executable]))"
)
INTERPRETER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Package:
    """An installed distribution."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    """Requires-Dist, as written."""
    build: str = ""
    """The local part of the version that its version.py gives: cu130, cpu; "" where unknown."""
    torch_of: Mapping[str, str] = field(default_factory=dict)
    """Its README's table of releases: own `X.Y` → torch's `X.Y`; empty where there is none."""
    where: str = ""
    """The folder it is installed in."""


@dataclass(frozen=True, slots=True)
class TrainerSource:
    """What the installed llamafactory's own files say, read as text."""

    bounds: tuple[str, ...] = ()
    """Requirements that extras/misc.py check_dependencies enforces at each start."""
    optional: tuple[str, ...] = ()
    """Modules that extras/packages.py looks for before use."""
    minicpm_returns: bool | None = None
    """Whether MiniCPMVPlugin.get_mm_inputs returns something; None where there is no such method."""
    commit: str = ""
    """The commit of an installation from git."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder that a run writes to, and its free space in bytes."""

    purpose: str
    path: str
    free: int


@dataclass(frozen=True, slots=True)
class Environment:
    """All that the checks may look at. Every field has a default, so that a test names only what matters to it."""

    python: str = "3.11.0"
    executable: str = ""
    prefix: str = ""
    platform: str = "linux"
    packages: Mapping[str, Package] = field(default_factory=dict)
    trainer: TrainerSource = field(default_factory=TrainerSource)
    checked_at_import: tuple[str, ...] = ()
    """Packages whose versions transformers compares when it is imported."""
    torchcodec_ffmpegs: tuple[int, ...] = ()
    """FFmpeg generations that the installed torchcodec has builds for."""
    libavutil: tuple[int, ...] = ()
    """Major versions of libavutil that the dynamic loader finds."""
    tools: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    driver: Driver = field(default_factory=Driver)
    disks: tuple[Disk, ...] = ()
    shared_memory: int | None = None
    """Bytes that /dev/shm can hold, None where there is none."""
    tested: tuple[str, ...] = ()
    """The requirements of mmcurate[train]: the set of versions that this release was tested with."""

    def package(self, name: str) -> Package | None:
        """An installed distribution by its name, however that is written."""
        return self.packages.get(normal(name))

    def enabled(self, variable: str) -> bool:
        """Whether llamafactory takes an environment variable as set (0.9.5, extras/misc.py: is_env_enabled)."""
        return self.variables.get(variable, "0").lower() in ("true", "y", "1")


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def take_snapshot(python: Path | None = None) -> Environment:
    """Look at this Python, or at another one's packages; UsageFault where that one cannot be asked."""
    from platform import python_version

    if python is None:
        path, version, prefix, platform, executable = (
            sys.path,
            python_version(),
            sys.prefix,
            sys.platform,
            sys.executable,
        )
    else:
        path, version, prefix, platform, executable = ask(python)
    packages = read_packages(path)
    trainer = packages.get("llamafactory")
    codec = packages.get("torchcodec")
    transformers = packages.get("transformers")
    return Environment(
        python=version,
        executable=executable,
        prefix=prefix,
        platform=platform,
        packages=packages,
        trainer=read_trainer(Path(trainer.where)) if trainer else TrainerSource(),
        checked_at_import=checked_by(Path(transformers.where) / "transformers") if transformers else (),
        torchcodec_ffmpegs=codec_builds(Path(codec.where) / "torchcodec") if codec else (),
        libavutil=find_libavutil(Path(prefix)),
        tools=find_tools(Path(executable).parent),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        driver=read_driver(),
        disks=tuple(read_disks()),
        shared_memory=size_of(Path("/dev/shm")),
        tested=tested_set(),
    )


def tested_set() -> tuple[str, ...]:
    """What mmcurate[train] asks for, from this command's own metadata, without the marker."""
    try:
        required = requires("mmcurate") or ()
    except PackageNotFoundError:
        return ()
    return tuple(text.split(";")[0].strip() for text in required if re.search(r"""extra == ['"]train['"]""", text))


def ask(python: Path) -> tuple[list[str], str, str, str, str]:
    """Another interpreter's sys.path, version, prefix, platform and own path; UsageFault when it does not answer."""
    try:
        # the interpreter is the user's own word on the command line
        done = subprocess.run(
            [str(python), "-c", INTERPRETER],
            capture_output=True,
            text=True,
            check=True,
            timeout=INTERPRETER_SECONDS,
            cwd="/" if os.name == "posix" else None,
        )
        path, version, prefix, platform, executable = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise UsageFault(
            python, f"cannot be asked: {error}", "a Python interpreter, such as .venv/bin/python"
        ) from error
    return [str(item) for item in path], str(version), str(prefix), str(platform), str(executable)


def read_packages(path: Sequence[str]) -> dict[str, Package]:
    """Every distribution on the path, the first of each name as the import system takes it."""
    found: dict[str, Package] = {}
    for folder in dict.fromkeys(path):
        for distribution in Distribution.discover(path=[folder or "."]):
            # the folder's name is enough to know the distribution; METADATA of those that matter is read below
            file = getattr(distribution, "_path", None)
            stem = re.sub(r"\.(?:dist|egg)-info$", "", Path(str(file)).name) if file is not None else ""
            name = normal(stem.split("-")[0])
            if not name or name in found:
                continue
            package = read_package(name, distribution, folder or ".")
            if package is not None:
                found[name] = package
    return found


def read_package(name: str, distribution: Distribution, folder: str) -> Package | None:
    """One distribution; the long metadata only of the packages that the checks read, None where it is damaged."""
    file = Path(str(getattr(distribution, "_path", "")))
    from_name = re.fullmatch(r"[^-]+-([^-]+?)(?:-py\S+)?\.(?:dist|egg)-info", file.name)
    detailed = name in NAMED
    if from_name and not detailed:
        return Package(name, from_name[1], where=folder)
    metadata = distribution.metadata
    version = str(metadata["Version"] or "")
    if not version:
        return None
    build = local_build(Path(folder) / name / "version.py") if name in BUILT else ""
    text = (metadata.get_payload() if hasattr(metadata, "get_payload") else "") or metadata["Description"] or ""
    table = release_table(str(text), name) if name in BUILT else {}
    return Package(name, version, tuple(distribution.requires or ()), build or local_of(version), table, folder)


def local_of(version: str) -> str:
    """`2.11.0+cu130` → `cu130`, "" where a version has no local part."""
    return version.partition("+")[2]


def local_build(file: Path) -> str:
    """The local part of `__version__` in a version.py, "" where there is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.search(r"""^__version__\s*(?::[^=\n]*)?=\s*['"][^'"+]*\+([A-Za-z0-9.]+)['"]""", text, re.MULTILINE)
    return found[1] if found else ""


def release_table(text: str, name: str) -> dict[str, str]:
    """The table `torch | torchvision | Python` of a README: own release → torch's, as `X.Y`."""
    table: dict[str, str] = {}
    own = other = -1
    for line in text.splitlines():
        if not line.startswith("|"):
            own = other = -1
            continue
        cells = [cell.strip().strip("`") for cell in line.strip("| ").split("|")]
        if name in cells and "torch" in cells:
            own, other = cells.index(name), cells.index("torch")
        elif own >= 0 and len(cells) > max(own, other) and cells[own][:1].isdigit():
            table.setdefault(cells[own], cells[other])
    return table


def read_trainer(folder: Path) -> TrainerSource:
    """What llamafactory's files under `folder` (site-packages) say; empty parts where a file is not as in 0.9.5."""
    room = folder / "llamafactory"
    bounds = calls_of(room / "extras" / "misc.py", "check_version", "check_dependencies")
    optional = calls_of(room / "extras" / "packages.py", "_is_package_available", None)
    commit = ""
    for file in folder.glob("llamafactory-*.dist-info/direct_url.json"):
        try:
            commit = str(json.loads(file.read_text(encoding="utf-8")).get("vcs_info", {}).get("commit_id", ""))
        except (OSError, ValueError, AttributeError):
            commit = ""
    return TrainerSource(tuple(bounds), tuple(optional), minicpm_returns(room / "data" / "mm_plugin.py"), commit)


def parse(file: Path) -> ast.Module | None:
    """A Python file's tree, None where it cannot be had."""
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return None


def calls_of(file: Path, called: str, inside: str | None) -> list[str]:
    """First arguments of the calls of a function, when they are literal text; `inside` one function or everywhere."""
    tree = parse(file)
    if tree is None:
        return []
    rooms: list[ast.AST] = [tree]
    if inside is not None:
        rooms = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == inside]
    return [
        node.args[0].value
        for room in rooms
        for node in ast.walk(room)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == called
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def checked_by(folder: Path) -> tuple[str, ...]:
    """The list pkgs_to_check_at_runtime of transformers' dependency_versions_check.py, empty where it is not there."""
    tree = parse(folder / "dependency_versions_check.py")
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pkgs_to_check_at_runtime":
            try:
                return tuple(map(str, ast.literal_eval(node.value)))
            except (ValueError, TypeError):
                return ()
    return ()


def codec_builds(folder: Path) -> tuple[int, ...]:
    """FFmpeg generations that torchcodec has builds for, from its files' names."""
    try:
        names = [item.name for item in folder.iterdir()]
    except OSError:
        return ()
    found = (re.fullmatch(r"libtorchcodec_core(\d+)\.(?:so|dylib|dll)", name) for name in names)
    return tuple(sorted(int(match[1]) for match in found if match))


def find_libavutil(prefix: Path) -> tuple[int, ...]:
    """Major versions of libavutil in the loader's cache, in LD_LIBRARY_PATH and in the environment's own lib folder."""
    found: set[int] = set()
    folders = [prefix / "lib", *map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)))]
    for folder in folders:
        found |= {int(match[1]) for item in names_in(folder) if (match := re.match(r"libavutil\.so\.(\d+)", item))}
    for name in cached_libraries():
        if match := re.match(r"libavutil\.so\.(\d+)$", name):
            found.add(int(match[1]))
    return tuple(sorted(found))


def names_in(folder: Path) -> list[str]:
    """A folder's entries that look like libavutil."""
    try:
        return [item.name for item in folder.glob("libavutil.so.*")]
    except OSError:
        return []


def cached_libraries() -> Iterator[str]:
    """Names in the dynamic loader's cache; find_library gives one name where ldconfig is missing."""
    from ctypes.util import find_library

    ldconfig = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if ldconfig is not None and sys.platform == "linux":
        try:
            done = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True, timeout=5)
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            yield from (line.split()[0] for line in done.stdout.splitlines()[1:] if line.strip())
            return
    if name := find_library("avutil"):
        yield Path(name).name


def find_tools(beside: Path) -> dict[str, str]:
    """Programs of interest: beside the interpreter, else on PATH."""
    path = os.pathsep.join([str(beside), os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in TOOLS}
    return {name: place for name, place in found.items() if place is not None}


def read_disks() -> Iterator[Disk]:
    """Free space in the working folder and in Hugging Face's cache (HF_HOME, else ~/.cache/huggingface)."""
    cache = os.environ.get("HF_HOME") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "huggingface"
    )
    for purpose, path in (("working folder", Path.cwd()), ("Hugging Face cache", Path(cache).expanduser())):
        there = next((item for item in (path, *path.parents) if item.exists()), None)
        if there is not None:
            try:
                yield Disk(purpose, str(path), shutil.disk_usage(there).free)
            except OSError:
                continue


def size_of(folder: Path) -> int | None:
    """A file system's size in bytes, None where the folder is missing."""
    try:
        return shutil.disk_usage(folder).total
    except OSError:
        return None
