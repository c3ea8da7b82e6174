"""`make demo`, `demo-audio`, `demo-qwen`, `demo-qwen-audio`, `demo-minicpm`: the whole path on real media.

Step by step, and what each left behind.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from train.environments.environment import locked_environment
from validators.llamafactory.environment.store import environment_named

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path("build/demo")
RECIPES = Path("train/recipes")
CURATE = (str(Path(sys.executable).with_name("curate")),)
PYTHON = (sys.executable,)
MINICPM_ENVIRONMENT = "minicpm-v-4.6"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""The matrices are so small that a second thread mostly waits; torchrun sets the same for its processes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the path, and what it promises to leave behind once it exits with 0."""

    title: str
    command: tuple[str, ...]
    artefacts: tuple[tuple[Path, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    inside: str = ""
    """The locked environment whose Python runs it; "" for this one."""

    def process(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command and its environment variables."""
        if not self.inside:
            return self.command, ONE_THREAD | os.environ | dict(self.environment)
        place = locked_environment(environment_named(self.inside))
        return (str(place.python), *self.command[1:]), ONE_THREAD | place.environment() | dict(self.environment)


DATA = (
    Step(
        "raw captions and media to datasets",
        (*CURATE, "build", "examples/demo/recipe.yaml"),
        (
            (BUILD / "arrow", "Arrow datasets, opened by datasets.load_from_disk while writing"),
            (BUILD / "dataset_info.json", "entries for LLaMA-Factory"),
            (BUILD / "ledger.jsonl", "rows dropped and changed, with reasons"),
            (BUILD / "manifest.json", "content hashes, written last"),
        ),
    ),
    Step("check of all datasets", (*CURATE, "check", str(BUILD))),
)


def tiny(folder: str, family: str, what: str, inside: str = "") -> Step:
    """A tiny random model of a family, its tokenizer trained on the built texts."""
    texts = (f"{BUILD}/demo_{kind}.json" for kind in ("image", "video", "audio", "video_audio"))
    return Step(
        f"tiny random {what} and tokenizer",
        (*PYTHON, "-P", "-m", "train.tiny", f"build/{folder}", "--family", family, "--text", *texts),
        ((Path("build", folder, "model.safetensors"), f"random weights, {what}'s architecture"),),
        inside=inside,
    )


def lora(name: str, what: str) -> tuple[Step, Step]:
    """A recipe's LoRA run, and the merge of its adapter."""
    run, merged = (Path("runs", f"{name}{end}".replace("_", "-")) for end in ("_lora", "_merged"))
    return (
        Step(
            f"LoRA{what}",
            (*CURATE, "train", str(RECIPES / f"{name}_lora.yaml")),
            (
                (run / "adapter_model.safetensors", "all numbers and all losses finite"),
                (run / "training_loss.png", "loss plot"),
                (run / "run.json", "what trained it: settings, base and data by hash, versions, outcome"),
            ),
        ),
        Step(
            f"merge{what}",
            (*CURATE, "export", str(RECIPES / f"{name}_merge.yaml")),
            (
                (merged / "model.safetensors", "names and shapes of the base; only LoRA's targets differ"),
                (merged / "merge_proof.json", "each proof, as printed above"),
            ),
        ),
    )


def full(name: str) -> Step:
    """A recipe's full SFT with DeepSpeed ZeRO-2 on two processes."""
    run = Path("runs", f"{name}_full".replace("_", "-"))
    return Step(
        "full SFT, DeepSpeed ZeRO-2, two CPU processes",
        (*CURATE, "train", str(RECIPES / f"{name}_full.yaml")),
        (
            (run / "model.safetensors", "all numbers and all losses finite"),
            (run / "training_loss.png", "loss plot"),
        ),
        (("NPROC_PER_NODE", "2"),),
    )


def compared(name: str) -> Step:
    """The LoRA run and the full run of a model in one page."""
    runs = (f"runs/{name}-lora", f"runs/{name}-full")
    return Step(
        "both runs side by side",
        (*CURATE, "runs", *runs, "--html", "runs/compare.html"),
        ((Path("runs/compare.html"), "losses drawn, settings and data that differ"),),
    )


IMAGES = (
    *DATA,
    tiny("tiny-minicpm-v", "minicpm_v_4_5", "MiniCPM-V 4.5"),
    *lora("tiny_minicpm_v_4_5", ", images and videos with packed frames"),
    full("tiny_minicpm_v_4_5"),
    compared("tiny-minicpm-v-4-5"),
)
SOUNDS = (
    *DATA,
    tiny("tiny-minicpm-o", "minicpm_o_2_6", "MiniCPM-o 2.6"),
    *lora("tiny_minicpm_o_2_6", ", sounds, and videos with a sound beside them"),
)
QWEN = (*DATA, tiny("tiny-qwen2vl", "qwen2_vl", "Qwen2-VL"), *lora("tiny", ""), full("tiny"), compared("tiny"))
QWEN_SOUNDS = (
    *DATA,
    tiny("tiny-qwen2audio", "qwen2_audio", "Qwen2-Audio"),
    *lora("tiny_audio", ", sounds"),
    tiny("tiny-qwen2omni", "qwen2_5_omni", "Qwen2.5-Omni"),
    *lora("tiny_audio_video", ", videos with their sound"),
)
MINICPM = (
    Step("the environment that the model needs", (*CURATE, "env", "--make", MINICPM_ENVIRONMENT)),
    *DATA,
    tiny("tiny-minicpm", "minicpm_v_4_6", "MiniCPM-V 4.6", MINICPM_ENVIRONMENT),
    Step(
        "counts held against the trainer's",
        (*CURATE, "check", str(RECIPES / "tiny_minicpm_lora.yaml"), "--verify-with-trainer", "50"),
    ),
    *lora("tiny_minicpm", ", pictures in slices"),
)
DEMOS = {"images": IMAGES, "sounds": SOUNDS, "qwen": QWEN, "qwen-sounds": QWEN_SOUNDS, "minicpm": MINICPM}


def main() -> int:
    """Run a demo's steps; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", choices=DEMOS, nargs="?", default="images")
    steps = DEMOS[parser.parse_args().demo]
    os.chdir(ROOT)
    started = time.monotonic()
    took: list[float] = []
    for number, step in enumerate(steps, 1):
        print(f"\n=== {number}/{len(steps)}  {step.title}\n$ {' '.join(map(short, step.command))}", flush=True)
        begun = time.monotonic()
        command, environment = step.process()
        code = subprocess.run(command, env=environment, check=False).returncode
        took.append(time.monotonic() - begun)
        missing = [str(path) for path, _ in step.artefacts if not path.exists()]
        if code != 0 or missing:
            reason = f"ended with {code}" if code else f"left no {', '.join(missing)}"
            print(f"\ndemo: step {number} ({step.title}) {reason}", file=sys.stderr)
            return 1
    print(f"\n=== the demo passed in {time.monotonic() - started:.0f} s\n")
    for step, seconds in zip(steps, took, strict=True):
        print(f"{step.title} ({seconds:.1f} s)")
        for path, meaning in step.artefacts:
            print(f"  {path}  {meaning}")
    return 0


def short(word: str) -> str:
    """A command's word without this environment's own folder."""
    return Path(word).name if word.startswith(str(Path(sys.executable).parent)) else word


if __name__ == "__main__":
    raise SystemExit(main())
