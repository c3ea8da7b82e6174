"""What differs between releases of the trainer's packages, by name: asked with `Trainer.has`, not by version.

A quirk holds from one release of a package to the one before another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """A way of behaving that some releases of a package have."""

    package: str
    """llamafactory or transformers."""
    words: str
    """What those releases do, with the file that does it."""
    since: str = "0"
    """The first release that does it."""
    until: str = ""
    """The first release that no longer does it; "" where the newest does."""


QUIRKS: Mapping[str, Quirk] = {
    "mllama-wants-images-at-both-ends": Quirk(
        package="transformers",
        words="a batch whose first or last row has no image stops Llama 3.2 Vision (5.5.4 and 5.6.0, "
        "models/mllama/image_processing_mllama.py: pad_batches_and_tiles; 4.57.1 takes it)",
        since="5.0",
    ),
    "warmup-in-whole-steps": Quirk(
        package="transformers",
        words="training_args.py: __post_init__: warmup_steps is a whole number, warmup_ratio a part of the run, and "
        "steps above 0 go before the ratio",
        until="5",
    ),
    "warmup-in-parts": Quirk(
        package="transformers",
        words="training_args.py: warmup_steps below 1 is a part of the run; warmup_ratio, where it is given, replaces "
        "it",
        since="5",
    ),
    "half-precision-backend": Quirk(
        package="transformers",
        words="training_args.py: __post_init__: half_precision_backend: apex needs apex, and has no bf16",
        until="5",
    ),
    "flash-attention-without-sink": Quirk(
        package="transformers",
        words="integrations/flash_attention.py: flash_attention_forward calls s_aux.to(…) also where there is none",
        since="5.6.0",
        until="5.6.1",
    ),
    "tokenizers-of-release-4": Quirk(
        package="transformers",
        words="models/auto/tokenization_auto.py and tokenization_utils_base.py: no class TokenizersBackend, and "
        "extra_special_tokens are a mapping",
        until="5",
    ),
    "safetensors-alone": Quirk(
        package="transformers",
        words="modeling_utils.py: save_pretrained writes safetensors whatever it is told; llamafactory 0.9.5, "
        "train/tuner.py: export_model, passes export_legacy_format on before 5.0.0 only",
        since="5",
    ),
    "nested-type-hides-its-model": Quirk(
        package="transformers",
        words="models/qwen2_vl and qwen2_5_vl/configuration_….py: __getattribute__ answers with the model_type of "
        "text_config, where its own __dict__ has one, in place of the model's",
        since="4.57.0",
        until="4.57.6",
    ),
    "greedy-scheduler": Quirk(
        package="transformers",
        words="trainer_utils.py: SchedulerType.GREEDY, which needs an evaluation",
        since="5",
    ),
    "qwen-counts-only-features-there-are": Quirk(
        package="transformers",
        words="Qwen's vision models compare image tokens with image features, and video tokens with video features, "
        "only where there are such features, and look for media behind start tokens alone (models/qwen2_vl, "
        "qwen2_5_vl, qwen3_vl, qwen2_5_omni, qwen3_omni_moe: get_placeholder_mask, get_rope_index); later ones look at "
        "every such token",
        until="5.0",
    ),
    "plain-processor-files-first": Quirk(
        package="transformers",
        words="preprocessor_config.json and video_preprocessor_config.json go before what processor_config.json nests "
        "(image_processing_base.py: get_image_processor_dict; video_processing_utils.py: get_video_processor_dict)",
        until="5.0",
    ),
    "llama4-forgets-the-largest-canvas": Quirk(
        package="transformers",
        words="Llama4ImageProcessorFast stops at any image under resize_to_max_canvas "
        "(models/llama4/image_processing_llama4_fast.py: _preprocess, target_size_without_distortion)",
        until="5.0",
    ),
    "processors-pass-over-unknown-options": Quirk(
        package="transformers",
        words="image and video processors warn of a keyword that they do not know; later ones raise a TypeError "
        "(image_utils.py: validate_kwargs; of later ones, processing_utils.py: ImagesKwargs, VideosKwargs)",
        until="5.0",
    ),
}
