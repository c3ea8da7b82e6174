from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

from curate.cli import main
from curate.doctor import environment as env
from curate.doctor.environment import Environment, release_table, take_snapshot
from curate.doctor.gpu import Gpu, ask_nvml
from curate.doctor.versions import cuda_of, fits, install, release

WITHOUT = """class MiniCPMVPlugin(BasePlugin):
    @override
    def get_mm_inputs(self, images):
        mm_inputs = {}
        mm_inputs.update({"image_bound": []})

    def other(self):
        return 1


class Next:
    def get_mm_inputs(self):
        return 2
"""


def test_versions_are_those_of_this_environment() -> None:
    """What the snapshot says of each package is what importlib.metadata says, and nothing heavy was imported."""
    found = take_snapshot()
    for name in ("llamafactory", "torch", "torchaudio", "transformers", "datasets", "pyarrow", "av", "mmcurate"):
        package = found.package(name)
        assert package is not None and package.version == version(name)
    assert found.package("flash_attn") is None and found.package("Typing_Extensions") is not None
    assert found.python == ".".join(map(str, sys.version_info[:3])) and found.disks


def test_the_trainer_is_read_as_it_is() -> None:
    """Bounds, optional modules and the return come from the installed llamafactory's own text."""
    source = take_snapshot().trainer
    text = Path(str(distribution("llamafactory").locate_file("llamafactory/extras/misc.py"))).read_text()
    body = text.split("def check_dependencies")[1].split("\ndef ")[0]
    assert source.bounds and all(f'check_version("{bound}")' in body for bound in source.bounds)
    assert len(source.bounds) == body.count("check_version(")
    assert "gradio" in source.optional and source.minicpm_returns is True


def test_what_transformers_compares_at_import_is_read() -> None:
    """The packages are those of the installed list, and each has its bounds in transformers' Requires-Dist."""
    found = take_snapshot()
    folder = Path(str(distribution("transformers").locate_file("transformers")))
    text = (folder / "dependency_versions_check.py").read_text()
    assert found.checked_at_import and all(f'"{name}"' in text for name in found.checked_at_import)
    transformers = found.package("transformers")
    assert transformers is not None and "tokenizers" in found.checked_at_import
    assert any(item.startswith("tokenizers") for item in transformers.requires)


def test_builds_and_tables_come_from_the_packages() -> None:
    """CUDA builds equal what version.py says, and torchcodec's README pairs its releases with torch's."""
    found = take_snapshot()
    for name in ("torch", "torchvision", "torchaudio"):
        package = found.package(name)
        file = Path(str(distribution(name).locate_file(f"{name}/version.py")))
        assert package is not None and package.build and f"+{package.build}'" in file.read_text()
    codec = found.package("torchcodec")
    assert codec is not None and codec.torch_of["0.9"] == "2.9" and codec.torch_of["0.7"] == "2.8"
    assert found.torchcodec_ffmpegs


def test_a_missing_return_is_seen(tmp_path: Path) -> None:
    """A get_mm_inputs without a return is told from one with, and from none."""
    file = tmp_path / "mm_plugin.py"
    assert env.minicpm_returns(file) is None
    file.write_text(WITHOUT)
    assert env.minicpm_returns(file) is False
    file.write_text(WITHOUT.replace("[]})\n", "[]})\n        return mm_inputs\n"))
    assert env.minicpm_returns(file) is True
    file.write_text(WITHOUT.replace("class MiniCPMVPlugin", "class MiniCPMV46Plugin"))
    assert env.minicpm_returns(file) is None


def test_an_installation_from_git_names_its_commit(tmp_path: Path) -> None:
    """direct_url.json gives the commit, whatever else is missing or damaged."""
    folder = tmp_path / "llamafactory-0.9.6.dev0.dist-info"
    folder.mkdir()
    (folder / "direct_url.json").write_text(
        json.dumps({"url": "x", "vcs_info": {"vcs": "git", "commit_id": "ca50f22c3"}})
    )
    assert env.read_trainer(tmp_path).commit == "ca50f22c3"
    for text in ("[]", "{", '{"vcs_info": []}'):
        (folder / "direct_url.json").write_text(text)
        assert env.read_trainer(tmp_path) == env.TrainerSource()


def test_versions_compare_as_pip_compares() -> None:
    """Local parts, pre-releases, and what cannot be read."""
    assert release("2.11.0+cu130") == (2, 11) and release("nightly") == (0, 0)
    assert cuda_of("cu130") == (13, 0) and cuda_of("cu128") == (12, 8) and cuda_of("cpu") is cuda_of("rocm6.4") is None
    assert fits("2.11.0+cu130", "==2.11.0") and not fits("5.7.0.dev0", "<=5.6.0") and fits("odd version", ">=1")
    assert install("a==1", "b<2,>=1") == "pip install a==1 'b<2,>=1'"
    assert release_table("| `torch` | `torchvision` |\n|--|--|\n| `2.9` | `0.24` |\n", "torchvision") == {"0.24": "2.9"}


class Nvml:
    """Answers as the driver's library does, through its pointers."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.closed = False

    def __getattr__(self, name: str):
        def call(*arguments) -> int:
            if name == "nvmlInit_v2":
                return int(self.broken)
            match name:
                case "nvmlSystemGetDriverVersion":
                    arguments[0].value = b"580.65.06"
                case "nvmlSystemGetCudaDriverVersion_v2":
                    arguments[0]._obj.value = 13020
                case "nvmlDeviceGetCount_v2":
                    arguments[0]._obj.value = 2
                case "nvmlDeviceGetName":
                    arguments[1].value = b"NVIDIA L4"
                case "nvmlDeviceGetCudaComputeCapability":
                    arguments[1]._obj.value, arguments[2]._obj.value = 8, 9
                case "nvmlDeviceGetMemoryInfo":
                    arguments[1]._obj.total = 24 * 2**30
                case "nvmlShutdown":
                    self.closed = True
            return 0

        return call


def test_the_driver_is_asked_through_its_library() -> None:
    """Version, CUDA and devices are what NVML gives; a library without a driver gives none."""
    library = Nvml()
    driver = ask_nvml(library)
    assert (driver.version, driver.cuda, library.closed) == ("580.65.06", (13, 2), True)
    assert driver.gpus == (Gpu("NVIDIA L4", (8, 9), 24 * 2**30),) * 2
    assert ask_nvml(Nvml(broken=True)).gpus == () and "no driver" in ask_nvml(Nvml(broken=True)).evidence


def test_the_command_imports_nothing_heavy() -> None:
    """`curate doctor --output-format json` exits 0 here, and loads neither torch nor pyarrow."""
    code = (
        "import sys\nfrom curate.cli import main\nc = main(sys.argv[1:])\n"
        "sys.stderr.write(' '.join(sys.modules))\nsys.exit(c)"
    )
    words = [sys.executable, "-c", code, "doctor", "--output-format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == int(not report["ok"]) and report["environment"]["packages"]["llamafactory"] == "0.9.5"
    heavy = {"torch", "transformers", "pyarrow", "polars", "datasets", "numpy", "av", "PIL"}
    assert heavy.isdisjoint(done.stderr.split())


def test_another_interpreter_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--python names whose packages are judged; what is no interpreter is a usage fault."""
    folder = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    assert main(["doctor", "--python", str(folder / "bin" / "python")]) == 0
    out = capsys.readouterr().out
    assert "llamafactory is not installed here" in out and str(folder) in out
    false = tmp_path / "false"
    false.write_text("#!/bin/sh\nexit 3\n")
    false.chmod(0o755)
    assert main(["doctor", "--python", str(false)]) == 2
    assert main(["doctor", "--python", str(tmp_path / "none")]) == 2
    assert main(["doctor", str(tmp_path / "none.yaml")]) == 2


def test_a_broken_environment_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An error in the report is exit code 1, its reason and cure are printed, and warnings alone are 0."""
    (tmp_path / "x.yaml").write_text("use_unsloth: true\n")
    assert main(["doctor", str(tmp_path / "x.yaml")]) == 1
    out = capsys.readouterr().out
    assert "unsloth is not installed" in out and "fix: pip install unsloth" in out and "1 error" in out
    monkeypatch.setenv("HF_HOME", str(tmp_path / "elsewhere" / "cache"))
    assert any(disk.path == os.environ["HF_HOME"] for disk in env.read_disks())
    assert Environment().package("x") is None
