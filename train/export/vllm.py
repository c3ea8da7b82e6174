"""`curate export --vllm`: whether vLLM knows the merged model's architecture and its tensors' names.

Where vLLM is installed beside the trainer, its own registry is asked; where not, the tables here, read from its
sources. The model itself is not started: vLLM has its own kernels, and mostly needs a GPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from train.export.merge import Merge
from train.export.own_code import CONFIG
from train.tensors import weights_of
from train.verify import Proof, unknown
from validators.budgets.text import read_config
from validators.probes import installed

SOURCE = "vLLM at 0002bff"
# vllm-project/vllm, vllm/model_executor/models/registry.py at 0002bff0b6cb36a3c8a17364de3303664463c412
ARCHITECTURES = frozenset([
    "Gemma3ForConditionalGeneration", "Glm4vForConditionalGeneration", "InternVLForConditionalGeneration",
    "LlamaForCausalLM", "Llama4ForConditionalGeneration", "LlavaForConditionalGeneration",
    "LlavaNextForConditionalGeneration", "LlavaNextVideoForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration", "MiniCPMO", "MiniCPMV", "MistralForCausalLM",
    "Mistral3ForConditionalGeneration", "Qwen2AudioForConditionalGeneration", "Qwen2ForCausalLM",
    "Qwen2VLForConditionalGeneration", "Qwen2_5OmniForConditionalGeneration", "Qwen2_5OmniModel",
    "Qwen2_5_VLForConditionalGeneration", "Qwen3ForCausalLM", "Qwen3OmniMoeForConditionalGeneration",
    "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration",
])  # fmt: skip
NAMES: Mapping[str, tuple[str, ...]] = {
    # models/qwen2_vl.py at 002d181a55a03803d7d69547846630069d2378b8: hf_to_vllm_mapper, and the modules' own names
    "Qwen2VLForConditionalGeneration": ("model.", "lm_head.", "visual.", "language_model."),
    # models/qwen3_vl.py at 002d7b939754b844a3832dd7fbf9e5fd0c0e9f1b: no rule for a bare "model."
    "Qwen3VLForConditionalGeneration": (
        "model.language_model.", "model.visual.", "lm_head.", "visual.", "language_model.",
    ),
}  # fmt: skip
"""Architecture → what a tensor's name may start with."""
ASK = "import json, vllm; print(); print(json.dumps(sorted(vllm.ModelRegistry.get_supported_archs())))"


def verify_vllm(merge: Merge) -> list[Proof]:
    """Architecture, names and the processor's file, as far as they are known."""
    declared = read_config(merge.out / CONFIG).get("architectures")
    names = [str(name) for name in declared] if isinstance(declared, list) else []
    return [verify_architecture(merge.out, names), verify_names(merge, names), verify_preprocessor(merge.out)]


def verify_architecture(out: Path, names: list[str]) -> Proof:
    """Whether vLLM has a model of this name."""
    what, shown = "vLLM knows the architecture", ", ".join(names) or "none in config.json"
    if not names:
        return Proof(what, out, False, shown)
    version = installed.version_of("vllm")
    if version is None:
        if any(name in ARCHITECTURES for name in names):
            return Proof(what, out, True, f"{shown}: {SOURCE}")
        return unknown(what, out, f"{shown} was not looked up, and vllm is not installed here")
    done = subprocess.run([sys.executable, "-P", "-c", ASK], capture_output=True, text=True, check=False)
    try:
        known = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        return unknown(what, out, f"vllm {version} does not start: {lines[-1][:200]}")
    return Proof(what, out, any(name in known for name in names), f"{shown}: vllm {version}")


def verify_names(merge: Merge, names: list[str]) -> Proof:
    """Whether all tensors are called as vLLM's mapper of this architecture expects."""
    what = "vLLM knows the tensors' names"
    starts = next((NAMES[name] for name in names if name in NAMES), None)
    if starts is None or merge.quantizes:
        return unknown(what, merge.out, "quantized" if merge.quantizes else f"not looked up for {', '.join(names)}")
    strange = sorted(name for name in weights_of(merge.out).infos if not name.startswith(starts))
    return Proof(what, merge.out, not strange, ", ".join(strange[:3]) or " ".join(starts))


def verify_preprocessor(out: Path) -> Proof:
    """Whether transformers 4, which a vLLM may bring, finds the image processor."""
    what = "transformers 4 finds the image processor"
    if not (out / "processor_config.json").is_file() or (out / "preprocessor_config.json").is_file():
        return Proof(what, out, True)
    return unknown(what, out, "processor_config.json alone, from transformers 5, and the base has no other to copy")
