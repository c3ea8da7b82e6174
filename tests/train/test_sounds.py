"""The real trainer on sounds, and on videos with their sound: check, LoRA, merge, as `make demo-qwen-audio` has it."""

from __future__ import annotations

import json

import pytest

from tests.train.conftest import Workshop

pytestmark = pytest.mark.trainer


def merged_names(workshop: Workshop, folder: str) -> set[str]:
    """The proofs of a merge that hold."""
    proofs = json.loads((workshop.folder / folder / "merge_proof.json").read_text())["proofs"]
    return {proof["what"] for proof in proofs if proof["passed"]}


def test_lora_and_merge_on_sounds(workshop: Workshop) -> None:
    """The check's counts are the trainer's, all five rows are trained on, and the adapter merges."""
    workshop.tiny("build/tiny-qwen2audio", "qwen2_audio")
    said = workshop.curate("check", "train/recipes/tiny_audio_lora.yaml", "--verify-with-trainer", "50")
    assert "5 of 5 rows agree" in said and "591 of media" in said
    said = workshop.curate("train", "train/recipes/tiny_audio_lora.yaml")
    assert "Num examples = 5" in said and "Total optimization steps = 9" in said
    verified = said.partition("verified:\n")[2].splitlines()
    assert len(verified) == 4 and all(line.strip().startswith("ok") for line in verified)
    said = workshop.curate("export", "train/recipes/tiny_audio_merge.yaml")
    assert "FAIL" not in said
    assert {"targeted tensors differ", "other tensors are untouched"} <= merged_names(
        workshop, "runs/tiny-audio-merged"
    )


def test_lora_on_videos_with_their_sound(workshop: Workshop) -> None:
    """Videos with sound woven in train beside rows of one medium; the weave costs what the check says."""
    workshop.tiny("build/tiny-qwen2omni", "qwen2_5_omni")
    said = workshop.curate("check", "train/recipes/tiny_audio_video_lora.yaml", "--verify-with-trainer", "50")
    assert "11 of 11 rows agree" in said
    said = workshop.curate("train", "train/recipes/tiny_audio_video_lora.yaml")
    assert "<|vision_bos|><|audio_bos|><|VIDEO|>" in said, "the trainer's own print of its first row"
    assert "Num examples = 11" in said and "Total optimization steps = 12" in said
    verified = said.partition("verified:\n")[2].splitlines()
    assert len(verified) == 4 and all(line.strip().startswith("ok") for line in verified)
    said = workshop.curate("export", "train/recipes/tiny_audio_video_merge.yaml")
    assert "FAIL" not in said and "open" not in said.partition("verified:\n")[2]
    names = merged_names(workshop, "runs/tiny-audio-video-merged")
    assert {"tensor names equal the base's", "targeted tensors differ", "the merged model answers"} <= names
