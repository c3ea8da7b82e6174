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
