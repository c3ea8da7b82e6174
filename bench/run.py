"""`make bench`: start-up, the check of the demo, throughput, and the trainer's own preprocessing of the same rows.

All figures come from one run on one machine; ratios mean more than seconds. Prints a table and writes it to
bench/results.md.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from curate.writers.dataset_info import entry
from curate.writers.form import Form
from validators.model import MediaKind

ROOT = Path(__file__).resolve().parent.parent
CURATE = str(Path(sys.executable).with_name("curate"))
ROUNDS = 5
MANY, SOME, FEW = 50_000, 2_000, 20
SIDES = ((640, 480), (1024, 768), (1280, 960), (1920, 1080), (1080, 1920))
ANSWER = ("It shows players on a pitch who celebrate, in white and red, before a crowd. " * 7).strip()


@dataclass(frozen=True, slots=True)
class Limit:
    """A measured figure and what it must not pass."""

    what: str
    value: float
    limit: float


def seconds(command: list[str]) -> float:
    """The median wall time of a command over ROUNDS runs."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def build_demo() -> None:
    """Datasets and tiny model of the demo."""
    subprocess.run([CURATE, "build", "examples/demo/recipe.yaml"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    texts = sorted(str(path) for path in (ROOT / "build/demo").glob("demo_*.json"))
    command = [sys.executable, "-m", "train.tiny", "build/tiny-qwen2vl", "--text", *texts]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)


def make_pictures(folder: Path, count: int) -> list[str]:
    """JPEG photographs' sizes and detail: smooth noise, each file of its own content."""
    from PIL import Image

    rng = random.Random(7)
    noise = Image.effect_noise((480, 480), 60)
    names = []
    for number in range(count):
        size = SIDES[number % len(SIDES)]
        left, top = rng.randrange(240), rng.randrange(240)
        bands = [noise.crop((left + at, top, left + at + 200, top + 200)).resize(size) for at in (0, 9, 18)]
        names.append(f"{number:05d}.jpg")
        Image.merge("RGB", bands).save(folder / names[-1], quality=85)
    return names


def project(folder: Path, pictures: list[str], count: int) -> Path:
    """Rows of a question, a picture and an answer of about a hundred words, with their train yaml."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"<image>What does picture {number} show?"},
                {"role": "assistant", "content": f"{number}: {ANSWER}"},
            ],
            "images": [pictures[number % len(pictures)]],
        }
        for number in range(count)
    ]
    folder.mkdir()
    (folder / "data.json").write_text(json.dumps(rows))
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry("data.json", Form((MediaKind.IMAGE,)))}))
    settings = {
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "template": "qwen2_vl",
        "model_name_or_path": str(ROOT / "build/tiny-qwen2vl"),
        "dataset": "data",
        "dataset_dir": str(folder),
        "media_dir": str(folder.parent),
        "cutoff_len": 2048,
        "overwrite_cache": True,
        "use_cpu": True,
        "report_to": "none",
        "output_dir": str(folder / "out"),
    }
    (folder / "train.yaml").write_text(json.dumps(settings))
    return folder / "train.yaml"


def five_megabytes() -> str:
    """Conversations in 5 MB of indented JSON."""
    rows: list[dict[str, object]] = []
    size = 0
    while size < 5_000_000:
        number = len(rows)
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": f"<image>What does picture {number} show?"},
                    {"role": "assistant", "content": f"Number {number}. {ANSWER}"},
                ],
                "images": [f"{number:05d}.jpg"],
            }
        )
        size += len(json.dumps(rows[-1], indent=2))
    return json.dumps(rows, indent=2)


def check_once(yaml_file: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one check, start-up included."""
    started = time.perf_counter()
    child = os.spawnv(os.P_NOWAIT, CURATE, [CURATE, "check", str(yaml_file), *options])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit("bench: the check found something in sound rows")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def trainer_once(yaml_file: Path) -> float:
    """Seconds of llamafactory's own loading, converting and tokenizing."""
    command = [sys.executable, str(ROOT / "bench" / "trainer.py"), str(yaml_file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"^(\d+) rows in ([\d.]+) s$", done.stdout, re.MULTILINE)
    if found is None or int(found[1]) != SOME:
        raise SystemExit(f"bench: the trainer did not take all {SOME} rows")
    return float(found[2])


def main() -> int:
    """Measure and report."""
    build_demo()
    start = seconds([CURATE, "--help"])
    demo = seconds([CURATE, "check", "train/recipes/tiny_lora.yaml"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = make_pictures(folder, SOME)
        many, memory = check_once(project(folder / "many", pictures, MANY))
        some = project(folder / "some", pictures, SOME)
        ours = statistics.median(check_once(some)[0] for _ in range(ROUNDS))
        few = project(folder / "few", pictures, FEW)
        start_up = statistics.median(check_once(few)[0] for _ in range(ROUNDS))
        whole_files, _ = check_once(some, "--depth", "decode", "--exit-zero")
        trainer = trainer_once(some)
        hook = folder / "hook.json"
        hook.write_text(five_megabytes(), encoding="utf-8")
        shape = seconds([CURATE, "check", "--depth", "shape", "--skip-unrelated", str(hook)])
    whole, by_row = trainer / ours, (trainer / SOME) / ((ours - start_up) / (SOME - FEW))
    lines = [
        "# Benchmark",
        "",
        f"`make bench`, Python {platform.python_version()}, {os.cpu_count()} cores, no GPU.",
        "",
        "| what | measured | limit |",
        "|---|---|---|",
        f"| `curate --help`, median of {ROUNDS} | {start:.3f} s | 0.3 s |",
        f"| `curate check` of the demo's train yaml, median of {ROUNDS} | {demo:.2f} s | 1.0 s |",
        f"| the pre-commit hook's `curate check --depth shape` of a file of 5 MB, median of {ROUNDS} | {shape:.2f} s "
        "| 1.0 s |",
        f"| `curate check` of {MANY} rows over {SOME} pictures | {MANY / many:.0f} rows/s | |",
        f"| its peak memory | {memory:.0f} MiB | |",
        f"| `curate check` of {SOME} rows, a JPEG of 0.3 to 2 megapixels each, median of {ROUNDS} | {ours:.2f} s | |",
        f"| the same with `--depth decode`, every picture decoded | {SOME / whole_files:.0f} pictures/s | |",
        f"| LLaMA-Factory's preprocessing of the same rows, one process, its imports not counted | {trainer:.1f} s | |",
        f"| ratio, our start-up included | {whole:.0f} × | 50 × |",
        f"| ratio by row, our start-up ({start_up:.2f} s) not counted either | {by_row:.0f} × | 100 × |",
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "bench" / "results.md").write_text(text, encoding="utf-8")
    print(text)
    limits = [
        Limit("--help", start, 0.3),
        Limit("check", demo, 1.0),
        Limit("hook", shape, 1.0),
        Limit("ratio", -whole, -50),
        Limit("ratio by row", -by_row, -100),
    ]
    late = [item.what for item in limits if item.value > item.limit]
    if late:
        print(f"bench: past the limit: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
