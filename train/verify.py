"""What a run left behind, held against what it should have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from train.tensors import not_finite
from validators.errors import UsageFault
from validators.probes.safetensors import tensors_of


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was verified, or was not; `open` where it could not be judged here, and nothing failed."""

    what: str
    path: Path
    passed: bool
    detail: str = ""
    open: bool = False

    def line(self) -> str:
        """The proof in one line."""
        word = "FAIL" if not self.passed else "open" if self.open else "ok  "
        return f"{word}  {self.what}: {self.path}" + (f" ({self.detail})" if self.detail else "")


def unknown(what: str, path: Path, why: str) -> Proof:
    """What cannot be proven on this machine, and why."""
    return Proof(what, path, True, why, open=True)


def verify_run(settings: Mapping[str, object]) -> list[Proof]:
    """Weights, losses and plot of a finished training run."""
    out = Path(str(settings.get("output_dir", "")))
    proofs = [verify_weights(out, settings.get("finetuning_type", "lora") == "lora"), verify_losses(out)]
    if settings.get("plot_loss"):
        plot = out / "training_loss.png"
        good = plot.is_file() and plot.read_bytes().startswith(b"\x89PNG")
        proofs.append(Proof("loss plot", plot, good, "" if good else "no picture"))
    return proofs


def verify_weights(out: Path, adapter: bool) -> Proof:
    """The adapter or the model is whole and all its numbers are finite."""
    what = "adapter" if adapter else "model weights"
    config = out / ("adapter_config.json" if adapter else "config.json")
    if not config.is_file():
        return Proof(what, out, False, f"no {config.name}")
    try:
        infos = tensors_of(out)
        bad = not_finite(infos)
    except (UsageFault, OSError) as fault:
        return Proof(what, out, False, str(fault))
    if not infos:
        return Proof(what, out, False, "no tensors")
    if bad:
        return Proof(what, out, False, f"not finite: {', '.join(bad[:3])}")
    return Proof(what, out, True, f"{len(infos)} tensors, all finite")


def verify_losses(out: Path) -> Proof:
    """At least one loss was logged and all are finite."""
    log = out / "trainer_log.jsonl"
    if not log.is_file():
        return Proof("losses", log, False, "no log")
    losses = []
    for line in log.read_text(encoding="utf-8").splitlines():
        loss = json.loads(line).get("loss")
        if loss is not None:
            losses.append(float(loss))
    if not losses:
        return Proof("losses", log, False, "none logged")
    if not all(math.isfinite(loss) for loss in losses):
        return Proof("losses", log, False, "not finite")
    return Proof("losses", log, True, f"{len(losses)} logged, {losses[0]:.4f} to {losses[-1]:.4f}")
