"""The families of the support table, each with what makes a tiny random model of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.support import configs, processors

Ids = Mapping[str, int]
"""A token's id by its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportFamily:
    """One family whose class transformers has, in some release."""

    name: str
    template: str
    """llamafactory's."""
    architecture: str
    """The model class, as a published config.json names it."""
    config: Callable[[Ids], Mapping[str, Any]]
    """config.json, with the sizes made small."""
    processor: Callable[[Any], Any] | None = None
    """transformers' processor over the tokenizer; None for text."""
    tokenizer: str = "PreTrainedTokenizerFast"
    tokens: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    media: tuple[str, ...] = ("image",)
    """What the family's plugin takes beside text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFamily:
    """One family whose class stands in the model's own repository, as remote code."""

    name: str
    template: str
    folder: str
    """The published folder's name."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Keys of config.json made small."""
    media: tuple[str, ...] = ("image", "video")
    repairs: tuple[tuple[str, str, str], ...] = ()
    """File, text and what stands for it: what the published code needs under today's torch."""
    words: str = ""
    """What the repairs are for."""
    revision: str = ""
    """Which code the folder holds, where it is not the newest published one."""


QWEN = "Qwen2Tokenizer"
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
GLM_TOKENS = (
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "<|video|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "[gMASK]",
    "<sop>",
)
GEMMA_NAMED = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
GEMMA_SOUNDS = {"audio_token": "<audio_soft_token>", "boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>"}
LLAMA4_TOKENS = (
    "<|image_start|>",
    "<|image|>",
    "<|patch|>",
    "<|image_end|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
)
ERNIE_NAMED = {
    "image_token": "<|IMAGE_PLACEHOLDER|>",
    "image_start_token": "<|IMAGE_START|>",
    "image_end_token": "<|IMAGE_END|>",
    "video_token": "<|VIDEO_PLACEHOLDER|>",
    "video_start_token": "<|VIDEO_START|>",
    "video_end_token": "<|VIDEO_END|>",
}
LFM_NAMED = {
    "image_token": "<image>",
    "image_start_token": "<|image_start|>",
    "image_end_token": "<|image_end|>",
    "image_thumbnail": "<|img_thumbnail|>",
}
MINICPM_NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
IMAGES_VIDEOS = ("image", "video")
ALL_MEDIA = ("image", "video", "audio")

OWN = (
    SupportFamily(
        name="text", template="qwen", architecture="Qwen2ForCausalLM", config=configs.qwen2, tokenizer=QWEN, media=()
    ),
    SupportFamily(
        name="qwen2_vl",
        template="qwen2_vl",
        architecture="Qwen2VLForConditionalGeneration",
        config=configs.qwen2_vl,
        processor=processors.qwen2_vl,
        tokenizer=QWEN,
        tokens=VISION_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="qwen2_5_vl",
        template="qwen2_vl",
        architecture="Qwen2_5_VLForConditionalGeneration",
        config=configs.qwen2_5_vl,
        processor=processors.qwen2_5_vl,
        tokenizer=QWEN,
        tokens=VISION_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="qwen3_vl",
        template="qwen3_vl",
        architecture="Qwen3VLForConditionalGeneration",
        config=configs.qwen3_vl,
        processor=processors.qwen3_vl,
        tokenizer=QWEN,
        tokens=VISION_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="qwen3_vl_moe",
        template="qwen3_vl",
        architecture="Qwen3VLMoeForConditionalGeneration",
        config=configs.qwen3_vl_moe,
        processor=processors.qwen3_vl,
        tokenizer=QWEN,
        tokens=VISION_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="qwen3_5",
        template="qwen3_5",
        architecture="Qwen3_5ForConditionalGeneration",
        config=configs.qwen3_5,
        processor=processors.qwen3_vl,
        tokenizer=QWEN,
        tokens=VISION_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="qwen2_audio",
        template="qwen2_audio",
        architecture="Qwen2AudioForConditionalGeneration",
        config=configs.qwen2_audio,
        processor=processors.qwen2_audio,
        tokenizer=QWEN,
        tokens=("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"),
        media=("audio",),
    ),
    SupportFamily(
        name="qwen2_5_omni",
        template="qwen2_omni",
        architecture="Qwen2_5OmniForConditionalGeneration",
        config=configs.qwen2_5_omni,
        processor=processors.qwen2_5_omni,
        tokenizer=QWEN,
        named={
            "image_token": "<|IMAGE|>",
            "audio_token": "<|AUDIO|>",
            "video_token": "<|VIDEO|>",
            "vision_bos_token": "<|vision_bos|>",
            "vision_eos_token": "<|vision_eos|>",
            "audio_bos_token": "<|audio_bos|>",
            "audio_eos_token": "<|audio_eos|>",
        },
        media=ALL_MEDIA,
    ),
    SupportFamily(
        name="qwen3_omni",
        template="qwen3_omni",
        architecture="Qwen3OmniMoeForConditionalGeneration",
        config=configs.qwen3_omni,
        processor=processors.qwen3_omni,
        tokenizer=QWEN,
        named={
            "image_token": "<|image_pad|>",
            "audio_token": "<|audio_pad|>",
            "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>",
            "vision_eos_token": "<|vision_end|>",
            "audio_bos_token": "<|audio_start|>",
            "audio_eos_token": "<|audio_end|>",
        },
        media=ALL_MEDIA,
    ),
    SupportFamily(
        name="gemma3",
        template="gemma3",
        architecture="Gemma3ForConditionalGeneration",
        config=configs.gemma3,
        processor=processors.gemma3,
        named=GEMMA_NAMED,
    ),
    SupportFamily(
        name="gemma3n",
        template="gemma3n",
        architecture="Gemma3nForConditionalGeneration",
        config=configs.gemma3n,
        processor=processors.gemma3n,
        named=GEMMA_NAMED | GEMMA_SOUNDS,
        media=("image", "audio"),
    ),
    SupportFamily(
        name="gemma4",
        template="gemma4",
        architecture="Gemma4ForConditionalGeneration",
        config=configs.gemma4,
        processor=processors.gemma4,
        tokens=("<|video|>",),
        named={
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="internvl",
        template="intern_vl",
        architecture="InternVLForConditionalGeneration",
        config=configs.internvl,
        processor=processors.internvl,
        tokenizer=QWEN,
        tokens=("<image>",),
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="glm4v",
        template="glm4v",
        architecture="Glm4vForConditionalGeneration",
        config=configs.glm4v,
        processor=processors.glm4v,
        tokens=GLM_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="glm4v_moe",
        template="glm4_5v",
        architecture="Glm4vMoeForConditionalGeneration",
        config=configs.glm4v_moe,
        processor=processors.glm4v,
        tokens=GLM_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="glm_ocr",
        template="glm_ocr",
        architecture="GlmOcrForConditionalGeneration",
        config=configs.glm_ocr,
        processor=processors.glm46v,
        tokens=GLM_TOKENS,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="llava",
        template="llava",
        architecture="LlavaForConditionalGeneration",
        config=configs.llava,
        processor=processors.llava,
        tokens=("<image>",),
    ),
    SupportFamily(
        name="llava_next",
        template="llava_next",
        architecture="LlavaNextForConditionalGeneration",
        config=configs.llava_next,
        processor=processors.llava_next,
        tokens=("<image>",),
    ),
    SupportFamily(
        name="llava_next_video",
        template="llava_next_video",
        architecture="LlavaNextVideoForConditionalGeneration",
        config=configs.llava_next_video,
        processor=processors.llava_next_video,
        tokenizer="LlamaTokenizer",
        tokens=("<image>", "<video>"),
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="video_llava",
        template="video_llava",
        architecture="VideoLlavaForConditionalGeneration",
        config=configs.video_llava,
        processor=processors.video_llava,
        tokens=("<image>", "<video>"),
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="paligemma",
        template="paligemma",
        architecture="PaliGemmaForConditionalGeneration",
        config=configs.paligemma,
        processor=processors.paligemma,
        tokenizer="GemmaTokenizer",
        tokens=("<image>",),
    ),
    SupportFamily(
        name="pixtral",
        template="pixtral",
        architecture="LlavaForConditionalGeneration",
        config=configs.pixtral,
        processor=processors.pixtral,
        tokens=("[IMG]", "[IMG_BREAK]", "[IMG_END]"),
    ),
    SupportFamily(
        name="mistral3",
        template="mistral_small",
        architecture="Mistral3ForConditionalGeneration",
        config=configs.mistral3,
        processor=processors.mistral3,
        tokens=("[IMG]", "[IMG_BREAK]", "[IMG_END]"),
    ),
    SupportFamily(
        name="mllama",
        template="mllama",
        architecture="MllamaForConditionalGeneration",
        config=configs.mllama,
        processor=processors.mllama,
        tokens=("<|image|>", "<|python_tag|>"),
    ),
    SupportFamily(
        name="llama4",
        template="llama4",
        architecture="Llama4ForConditionalGeneration",
        config=configs.llama4,
        processor=processors.llama4,
        tokens=LLAMA4_TOKENS,
    ),
    SupportFamily(
        name="lfm2_vl",
        template="lfm2_vl",
        architecture="Lfm2VlForConditionalGeneration",
        config=configs.lfm2_vl,
        processor=processors.lfm2_vl,
        named=LFM_NAMED,
    ),
    SupportFamily(
        name="ernie_vl",
        template="ernie_vl",
        architecture="Ernie4_5_VLMoeForConditionalGeneration",
        config=configs.ernie_vl,
        processor=processors.ernie_vl,
        named=ERNIE_NAMED,
        media=IMAGES_VIDEOS,
    ),
    SupportFamily(
        name="minicpm_v_4_6",
        template="minicpm_v_4_6",
        architecture="MiniCPMV4_6ForConditionalGeneration",
        config=configs.minicpm_v_4_6,
        processor=processors.minicpm_v_4_6,
        tokenizer=QWEN,
        named=MINICPM_NAMED,
        media=IMAGES_VIDEOS,
    ),
)
SMALL_MINICPM = {
    "hidden_size": 128,  # the resampler has a head for every 128
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_window_layers": 2,
    "torch_dtype": "float32",
    "vision_config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "audio_config": {
        "d_model": 32,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 64,
    },
}
PUBLISHED = (
    PublishedFamily(
        name="minicpm_v_2_6",
        template="minicpm_v",
        folder="MiniCPM-V-2_6",
        sizes=SMALL_MINICPM,
        repairs=(("resampler.py", "import Optional, Tuple\n", "import List, Optional, Tuple\n"),),
        revision="as of August 2024",
        words="with List imported in its resampler.py (it takes the name from torch.nn.functional, "
        "where torch 2.11 has none: NameError: name 'List' is not defined)",
    ),
    PublishedFamily(name="minicpm_v_4_0", template="minicpm_v", folder="MiniCPM-V-4", sizes=SMALL_MINICPM),
    PublishedFamily(name="minicpm_v_4_5", template="minicpm_v", folder="MiniCPM-V-4_5", sizes=SMALL_MINICPM),
    PublishedFamily(name="minicpm_v_4_7", template="minicpm_v", folder="MiniCPM-V-4_7", sizes=SMALL_MINICPM),
    PublishedFamily(name="minicpm_ocr", template="minicpm_v", folder="MiniCPM-OCR", sizes=SMALL_MINICPM),
    PublishedFamily(
        name="minicpm_o_2_6", template="minicpm_o", folder="MiniCPM-o-2_6", sizes=SMALL_MINICPM, media=ALL_MEDIA
    ),
    PublishedFamily(
        name="minicpm_o_4_5",
        template="minicpm_o",
        folder="MiniCPM-o-4_5",
        sizes=SMALL_MINICPM,
        media=ALL_MEDIA,
    ),
    PublishedFamily(name="kimi_vl", template="kimi_vl", folder="Kimi-VL-A3B-Instruct", media=IMAGES_VIDEOS),
    PublishedFamily(name="youtu_vl", template="youtu_vl", folder="Youtu-VL-4B-Instruct", media=IMAGES_VIDEOS),
    PublishedFamily(name="dots_ocr", template="dots_ocr", folder="dots.ocr", media=("image",)),
    PublishedFamily(name="keye_vl", template="keye_vl", folder="Keye-VL-8B-Preview", media=IMAGES_VIDEOS),
)
FAMILIES: Mapping[str, SupportFamily | PublishedFamily] = {family.name: family for family in (*OWN, *PUBLISHED)}
