from __future__ import annotations

from dataclasses import replace

import pytest

from curate.doctor.checks import CHECKS
from curate.doctor.environment import Disk, Environment, Package, TrainerSource
from curate.doctor.examine import examine, exit_code
from curate.doctor.gpu import Driver, Gpu
from tests.doctor.scaffold import HOPPER, SOUND, drop, put, said
from validators.findings import Severity

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
VOLTA = Driver("580.65", (13, 0), (Gpu("Tesla V100", (7, 0), 32 * 2**30),), evidence="NVML")
OLD_DRIVER = replace(HOPPER, version="535.183", cuda=(12, 2))
SET = {"DISABLE_VERSION_CHECK": "True"}
NEWER = Package("transformers", "5.7.0")
# what is broken → the one check that says so, how bad, words of the reason, words of the cure
CASES: dict[str, tuple[Environment, str, Severity, str, str]] = {
    "python": (replace(SOUND, python="3.10.14"), "python-too-old", E, "3.11", "anew"),
    "no trainer": (
        replace(drop(SOUND, "llamafactory"), trainer=TrainerSource()), "trainer-missing", N, "needs none", "train]",
    ),
    "other trainer": (
        put(SOUND, Package("llamafactory", "0.9.4")), "trainer-other-version", W, "0.9.5", "--verify-with-trainer",
    ),
    "missing return": (
        replace(SOUND, trainer=TrainerSource((), (), False, "ca50f22c3aa")), "trainer-without-return", E, "NoneType",
        "llamafactory==0.9.5",
    ),
    "too new": (put(SOUND, NEWER), "trainer-bounds", E, "check_dependencies", "transformers==5.6.0"),
    "too new, allowed": (
        replace(put(SOUND, NEWER), variables=SET), "trainer-bounds", W, "DISABLE_VERSION_CHECK", "transformers==5.6.0",
    ),
    "bound, missing": (
        replace(drop(SOUND, "transformers"), variables=SET), "trainer-bounds", E, "stops at start", "transformers",
    ),
    "required, missing": (drop(SOUND, "av"), "trainer-requirements", E, "incomplete", "av<=16.0.0,>=10.0.0"),
    "optional, missing": (drop(SOUND, "gradio"), "trainer-requirements", W, "before use", "gradio"),
    "required, newer": (
        put(SOUND, Package("av", "17.1.0")), "trainer-requirements", W, "does not check", "av<=16.0.0,>=10.0.0",
    ),
    "refused at import": (
        replace(
            put(
                SOUND,
                Package("transformers", "5.6.0", ("tokenizers<=0.23.0,>=0.22.0",)),
                Package("tokenizers", "0.24.0"),
            ),
            checked_at_import=("tokenizers",),
        ), "unmet-requirements", E, "refuses", "tokenizers<=0.23.0,>=0.22.0",
    ),
    "another's bounds": (
        put(SOUND, Package("datasets", "4.0.0", ("fsspec<=2025.3.0",)), Package("fsspec", "2026.1.0")),
        "unmet-requirements", W, "released for", "fsspec<=2025.3.0",
    ),
    "another's package": (
        put(SOUND, Package("datasets", "4.0.0", ("xxhash",))), "unmet-requirements", E, "imports of datasets", "xxhash",
    ),
    "torchvision's pin": (
        put(SOUND, Package("torchvision", "0.25.0", ("torch (==2.10.0)",), "cu130")), "torch-companions", E, "==2.10.0",
        "torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0 'torchcodec<0.12,>=0.11'",
    ),
    "torchaudio's pin": (
        put(SOUND, Package("torchaudio", "2.8.0", ("torch==2.8.0",), "cu130")), "torch-companions", E, "==2.8.0",
        "torchaudio==2.11.0",
    ),
    "torchaudio's release": (
        put(SOUND, Package("torchaudio", "2.10.0", build="cu130")), "torchaudio-release", W, "any pair",
        "torch==2.11.0",
    ),
    "torchaudio's CUDA": (
        put(SOUND, Package("torchaudio", "2.11.0", build="cu128")), "cuda-builds", E, "each of its commands dies",
        "torch==2.11.0",
    ),
    "torchvision's CUDA": (
        put(SOUND, Package("torchvision", "0.26.0", ("torch==2.11.0",), "cu128")), "cuda-builds", E, "different CUDA",
        "torch==2.11.0",
    ),
    "no torchcodec": (drop(SOUND, "torchcodec"), "codec-missing", W, "since 2.9", "'torchcodec<0.12,>=0.11'"),
    "torchcodec too old": (
        put(SOUND, Package("torchcodec", "0.10.0")), "codec-release", E, "torch ==2.10.*", "torch==2.11.0",
    ),
    "torchcodec by its own table": (
        put(SOUND, Package("torchcodec", "0.8.1", torch_of={"0.8": "2.9"})), "codec-release", E, "torch ==2.9.*",
        "torch==2.11.0",
    ),
    "torchcodec too new": (
        put(SOUND, Package("torchcodec", "0.19.0", torch_of={"0.19": ">=2.13"})), "codec-release", E, "torch >=2.13",
        "torch==2.11.0",
    ),
    "no FFmpeg": (replace(SOUND, libavutil=()), "codec-without-ffmpeg", E, "shared libraries", "apt-get"),
    "FFmpeg too new": (replace(SOUND, libavutil=(61,)), "codec-without-ffmpeg", E, "FFmpeg 4 to 8", "ffmpeg"),
    "old driver": (replace(SOUND, driver=OLD_DRIVER), "driver-too-old", E, "sees no GPU", "cu12"),
    "old GPU": (replace(SOUND, driver=VOLTA), "gpu-too-old", E, "no kernel image", "cu126"),
    "torch for CPUs": (
        put(SOUND, Package("torch", "2.11.0", build="cpu")), "torch-without-cuda", W, "on the CPU", "torch==2.11.0",
    ),
    "pyarrow": (put(SOUND, Package("pyarrow", "26.0.1")), "arrow-null-first", W, "past their end", "[]"),
    "flash-attn": (
        put(SOUND, Package("flash-attn", "2.8.3+cu12torch2.8cxx11abiTRUE")), "flash-attention-build", E, "torch 2.8",
        "--no-build-isolation",
    ),
    "no compiler": (replace(SOUND, tools={}), "deepspeed-without-compiler", W, "first use", "g++"),
    "two decords": (
        put(SOUND, Package("decord", "0.6.0"), Package("decord2", "3.4.0")), "decord-twice", W, "came last", "decord2",
    ),
    "full disk": (
        replace(SOUND, disks=(Disk("working folder", "/data", 10**8),)), "little-space", W, "ends the run", "/data",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_named_by_its_check_alone(name: str) -> None:
    """One broken thing in a sound environment is said once, with its reason and its cure."""
    environment, check, severity, reason, cure = CASES[name]
    found = examine(environment)
    assert [item.check for item in found] == [check]
    assert found[0].diagnosis.severity is severity
    assert reason in found[0].diagnosis.reason and cure in found[0].diagnosis.cure
    assert found[0].diagnosis.evidence
    assert exit_code(found) == int(severity is E)


def test_every_check_has_a_case() -> None:
    """The table of checks and these cases name the same checks."""
    assert {check.name for check in CHECKS} == {case[1] for case in CASES.values()}


def test_a_sound_environment_and_an_empty_one_have_no_errors() -> None:
    """Nothing is wrong with the tested train, and nothing is broken where nothing is installed."""
    assert said(SOUND) == {}
    assert set(said(Environment())) == {"trainer-missing"}


def test_a_naive_installation_is_told_to_take_one_train() -> None:
    """The newest torch beside a torchaudio for another CUDA is broken, and the cure pins all four."""
    naive = put(
        SOUND,
        Package("torch", "2.15.0", build="cu132"),
        Package("torchvision", "0.29.1", ("torch (>=2.14.0)",), "cu130"),
        Package("torchcodec", "0.17.0"),
    )
    found = said(replace(naive, driver=Driver()))
    assert set(found) == {"cuda-builds"}
    assert found["cuda-builds"].cure == (
        "pip install torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0 'torchcodec<0.12,>=0.11'"
    )


def test_what_is_missing_is_one_line_with_one_cure() -> None:
    """Packages that llamafactory requires are asked for together, and a trainer elsewhere is pointed at."""
    bare = drop(put(SOUND, Package("llamafactory", "0.9.5", ("av<=16.0.0,>=10.0.0", "tyro<0.9.0", "gradio"))), "av")
    found = [item for item in examine(bare) if item.diagnosis.severity is E]
    assert [item.diagnosis.cure for item in found] == ["pip install 'av<=16.0.0,>=10.0.0' 'tyro<0.9.0'"]
    there = Environment(tools={"llamafactory-cli": "/opt/lf/bin/llamafactory-cli"})
    assert said(there)["trainer-missing"].cure == "curate doctor --python /opt/lf/bin/python"


def test_releases_on_the_stable_interface_take_any_later_torch() -> None:
    """torchcodec from 0.12 on loads in torch 2.11 and later; torchaudio 2.11 in a later torch of its CUDA is a note."""
    assert said(put(SOUND, Package("torchcodec", "0.17.0"))) == {}
    later = put(
        SOUND, Package("torch", "2.15.0", build="cu130"), Package("torchvision", "0.30.0", ("torch>=2.15.0",), "cu130")
    )
    found = said(put(later, Package("torchcodec", "0.17.0")))
    assert {name: item.severity for name, item in found.items()} == {"torchaudio-release": N}


def test_a_disabled_version_check_reads_as_the_trainer_reads_it() -> None:
    """DISABLE_VERSION_CHECK counts when it is true, y or 1 in any case, and not otherwise."""
    for value, severity in (("1", W), ("Y", W), ("true", W), ("0", E), ("yes", E), ("", E)):
        broken = replace(put(SOUND, NEWER), variables={"DISABLE_VERSION_CHECK": value})
        assert said(broken)["trainer-bounds"].severity is severity, value
