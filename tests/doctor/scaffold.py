"""Environments as tests need them: a sound one of the tested release train, and changes to it."""

from __future__ import annotations

from dataclasses import replace

from curate.doctor.diagnosis import Diagnosis
from curate.doctor.environment import Environment, Package, TrainerSource, normal
from curate.doctor.examine import examine
from curate.doctor.gpu import Driver, Gpu
from curate.doctor.needs import Run

TESTED = (
    "llamafactory==0.9.5", "torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "torchcodec<0.12,>=0.11",
    "transformers==5.6.0", "deepspeed==0.19.8",
)  # fmt: skip
HOPPER = Driver("580.65", (13, 0), (Gpu("NVIDIA H100", (9, 0), 80 * 2**30),), evidence="NVML")
SOUND = Environment(
    python="3.11.7",
    packages={
        package.name: package
        for package in (
            Package("torch", "2.11.0", build="cu130"),
            Package("torchvision", "0.26.0", ("torch==2.11.0",), "cu130"),
            Package("torchaudio", "2.11.0", build="cu130"),
            Package("torchcodec", "0.11.1", build="cpu"),
            Package(
                "llamafactory", "0.9.5", ("transformers!=4.57.0,<=5.6.0,>=4.55.0", "av<=16.0.0,>=10.0.0", "gradio")
            ),
            Package("transformers", "4.57.1"),
            Package("deepspeed", "0.19.8"),
            Package("matplotlib", "3.11.2"),
            Package("pillow", "11.3.0"),
            Package("gradio", "5.50.0"),
            Package("pyarrow", "22.0.0"),
            Package("av", "16.0.0"),
        )
    },
    trainer=TrainerSource(("transformers>=4.55.0,<=5.6.0",), ("gradio", "PIL"), True),
    torchcodec_ffmpegs=(4, 5, 6, 7, 8),
    libavutil=(59,),
    tools={"c++": "/usr/bin/c++"},
    driver=HOPPER,
    tested=TESTED,
)


def put(environment: Environment, *packages: Package) -> Environment:
    """With these packages instead of, or beside, what is there."""
    return replace(environment, packages={**environment.packages, **{normal(item.name): item for item in packages}})


def drop(environment: Environment, *names: str) -> Environment:
    """Without these packages."""
    return replace(environment, packages={k: v for k, v in environment.packages.items() if k not in names})


def said(environment: Environment, run: Run | None = None) -> dict[str, Diagnosis]:
    """Check name → its last diagnosis."""
    return {item.check: item.diagnosis for item in examine(environment, [run] if run else [])}
