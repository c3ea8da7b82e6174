"""config.json of each family with small sizes, keyed as the published files are.

Each takes a token's id by its text and returns the file's content. Rope keys are transformers 4's (`rope_theta`,
`rope_scaling`), which release 5 reads too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Ids = Mapping[str, int]
SPARE = 64  # rows beyond the vocabulary, as published models have: templates add their stop words to the tokenizer


def base(ids: Ids, **more: Any) -> dict[str, Any]:
    """A language model of two layers of 64 over the tokenizer's vocabulary, attention heads of 16."""
    return {
        "vocab_size": len(ids) + SPARE,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 32768,
        "rope_theta": 10000.0,
        "bos_token_id": ids["<bos>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    } | more


def sections(*sizes: int, **more: Any) -> dict[str, Any]:
    """Rope of time, height and width: the sections fill half of a head of 16, or of the part of it that turns."""
    return {"rope_scaling": {"rope_type": "default", "mrope_section": list(sizes or (2, 3, 3)), **more}}


QWEN_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
SOUND = {
    "d_model": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 128,
}
SIGLIP = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
CLIP = SIGLIP | {"model_type": "clip_vision_model", "projection_dim": 32}


def vision_ids(ids: Ids) -> dict[str, int]:
    """The four token ids of the Qwen-VL families."""
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def qwen2(ids: Ids) -> dict[str, Any]:
    """A language model alone."""
    return {"model_type": "qwen2", **base(ids)}


def qwen2_vl(ids: Ids) -> dict[str, Any]:
    """Qwen2-VL, whose published config is flat."""
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2}
    return {
        **base(ids, rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}),
        "model_type": "qwen2_vl",
        "vision_config": vision,
        "tie_word_embeddings": False,
        **vision_ids(ids),
    }


def qwen2_5_vl(ids: Ids) -> dict[str, Any]:
    """Qwen2.5-VL, whose published config is flat."""
    return {
        **base(ids, rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}),
        "model_type": "qwen2_5_vl",
        "vision_config": QWEN_VISION | {"fullatt_block_indexes": [1]},
        "tie_word_embeddings": False,
        **vision_ids(ids),
    }


QWEN3_VISION = QWEN_VISION | {"deepstack_visual_indexes": [1], "num_position_embeddings": 144}


def qwen3_vl(ids: Ids) -> dict[str, Any]:
    """Qwen3-VL."""
    return {
        "model_type": "qwen3_vl",
        "text_config": base(ids, **sections(mrope_interleaved=True)),
        "vision_config": QWEN3_VISION,
        "tie_word_embeddings": False,
        **vision_ids(ids),
    }


EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}


def qwen3_vl_moe(ids: Ids) -> dict[str, Any]:
    """Qwen3-VL with experts."""
    text = base(ids, **sections(mrope_interleaved=True), **EXPERTS, mlp_only_layers=[])
    return qwen3_vl(ids) | {"model_type": "qwen3_vl_moe", "text_config": text}


def linear_attention(ids: Ids, rope: Mapping[str, Any]) -> dict[str, Any]:
    """Qwen3.5's language model: one layer of linear attention and one of full."""
    return base(
        ids,
        model_type="qwen3_5_text",
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, **rope},
    )


def qwen3_5(ids: Ids) -> dict[str, Any]:
    """Qwen3.5."""
    vision = {key: value for key, value in QWEN3_VISION.items() if key != "deepstack_visual_indexes"}
    return {
        "model_type": "qwen3_5",
        "text_config": linear_attention(ids, {"mrope_section": [2, 1, 1], "mrope_interleaved": True}),
        "vision_config": vision,
        "tie_word_embeddings": False,
        **vision_ids(ids),
    }


def qwen2_audio(ids: Ids) -> dict[str, Any]:
    """Qwen2-Audio."""
    return {
        "model_type": "qwen2_audio",
        "audio_config": {"model_type": "qwen2_audio_encoder", **SOUND},
        "text_config": base(ids, model_type="qwen2"),
        "audio_token_index": ids["<|AUDIO|>"],
    }


def qwen2_5_omni(ids: Ids) -> dict[str, Any]:
    """Qwen2.5-Omni without its talker; LLaMA-Factory trains the thinker alone."""
    names = {
        "image_token_index": "<|IMAGE|>",
        "video_token_index": "<|VIDEO|>",
        "audio_token_index": "<|AUDIO|>",
        "audio_start_token_id": "<|audio_bos|>",
        "audio_end_token_id": "<|audio_eos|>",
        "vision_start_token_id": "<|vision_bos|>",
        "vision_end_token_id": "<|vision_eos|>",
    }
    thinker = {
        "model_type": "qwen2_5_omni_thinker",
        "text_config": base(ids, **sections()),
        "vision_config": QWEN_VISION | {"fullatt_block_indexes": [1]},
        "audio_config": SOUND | {"output_dim": 64},
        "position_id_per_seconds": 25,
        "seconds_per_chunk": 2,
        **{key: ids[token] for key, token in names.items()},
    }
    return {"model_type": "qwen2_5_omni", "enable_audio_output": False, "thinker_config": thinker}


def qwen3_omni(ids: Ids) -> dict[str, Any]:
    """Qwen3-Omni without its talker."""
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "audio_token_id": "<|audio_pad|>",
        "audio_start_token_id": "<|audio_start|>",
        "audio_end_token_id": "<|audio_end|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    thinker = {
        "model_type": "qwen3_omni_moe_thinker",
        "text_config": base(ids, **sections(mrope_interleaved=True), **EXPERTS, mlp_only_layers=[]),
        "vision_config": QWEN3_VISION,
        "audio_config": SOUND | {"output_dim": 64, "downsample_hidden_size": 32},
        "position_id_per_seconds": 13,
        **{key: ids[token] for key, token in names.items()},
    }
    return {"model_type": "qwen3_omni_moe", "enable_audio_output": False, "thinker_config": thinker}


def gemma3(ids: Ids) -> dict[str, Any]:
    """Gemma 3: a picture of 56 pixels is 16 patches, pooled to 4 tokens."""
    return {
        "model_type": "gemma3",
        "text_config": base(ids, model_type="gemma3_text", layer_types=["sliding_attention", "full_attention"]),
        "vision_config": SIGLIP,
        "mm_tokens_per_image": 4,
        "image_token_index": ids["<image_soft_token>"],
        "boi_token_index": ids["<start_of_image>"],
        "eoi_token_index": ids["<end_of_image>"],
    }


def gemma3n(ids: Ids) -> dict[str, Any]:
    """Gemma 3n; its vision tower is timm's MobileNet, whose size is its name's."""
    text = base(
        ids,
        model_type="gemma3n_text",
        vocab_size_per_layer_input=len(ids) + SPARE,
        hidden_size_per_layer_input=8,
        layer_types=["sliding_attention", "full_attention"],
        num_kv_shared_layers=0,
        laurel_rank=8,
        activation_sparsity_pattern=[0.0, 0.0],
    )
    sound = {
        "model_type": "gemma3n_audio",
        "hidden_size": 32,
        "conf_num_hidden_layers": 1,
        "conf_num_attention_heads": 2,
        "sscp_conv_channel_size": [8, 4],
        "vocab_size": 8,
        "vocab_offset": len(ids) + SPARE + 8,
    }
    vision = {
        "model_type": "gemma3n_vision",
        "architecture": "mobilenetv5_300m_enc",
        "hidden_size": 2048,
        "vocab_size": 8,
        "vocab_offset": len(ids) + SPARE,
        "do_pooling": False,
    }
    return {
        "model_type": "gemma3n",
        "text_config": text | {"vocab_size": len(ids) + SPARE + 16},
        "vision_config": vision,
        "audio_config": sound,
        "image_token_id": ids["<image_soft_token>"],
        "audio_token_id": ids["<audio_soft_token>"],
        "boi_token_id": ids["<start_of_image>"],
        "eoi_token_id": ids["<end_of_image>"],
        "boa_token_id": ids["<start_of_audio>"],
        "eoa_token_id": ids["<end_of_audio>"],
    }


def gemma4(ids: Ids) -> dict[str, Any]:
    """Gemma 4, without audio."""
    text = base(
        ids,
        model_type="gemma4_text",
        layer_types=["sliding_attention", "full_attention"],
        vocab_size_per_layer_input=len(ids) + SPARE,
        hidden_size_per_layer_input=8,
        global_head_dim=16,
    )
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "position_embedding_size": 1024,
    }
    names = {
        "image_token_id": "<|image|>",
        "video_token_id": "<|video|>",
        "boi_token_id": "<|image>",
        "eoi_token_id": "<image|>",
        "audio_token_id": "<|audio|>",
        "boa_token_id": "<|audio>",
        "eoa_token_index": "<audio|>",
    }
    return {
        "model_type": "gemma4",
        "text_config": {key: value for key, value in text.items() if key != "rope_theta"},
        "vision_config": vision,
        **{key: ids[token] for key, token in names.items()},
    }


def internvl(ids: Ids) -> dict[str, Any]:
    """InternVL: a tile of 56 pixels is 16 patches, shuffled to 4 tokens."""
    vision = {key: value for key, value in SIGLIP.items() if key != "model_type"}
    return {
        "model_type": "internvl",
        "text_config": base(ids, model_type="qwen2"),
        "vision_config": vision | {"model_type": "internvl_vision", "image_size": [56, 56], "patch_size": [14, 14]},
        "image_token_id": ids["<IMG_CONTEXT>"],
        "image_seq_length": 4,
    }


def glm(ids: Ids, kind: str, **text: Any) -> dict[str, Any]:
    """The GLM-V families."""
    names = {
        "image_token_id": "<|image|>",
        "video_token_id": "<|video|>",
        "image_start_token_id": "<|begin_of_image|>",
        "image_end_token_id": "<|end_of_image|>",
        "video_start_token_id": "<|begin_of_video|>",
        "video_end_token_id": "<|end_of_video|>",
    }
    return {
        "model_type": kind,
        "text_config": base(ids, model_type=f"{kind}_text", partial_rotary_factor=0.5, **sections(2, 1, 1), **text),
        "vision_config": QWEN_VISION | {"image_size": 56, "model_type": f"{kind}_vision"},
        **{key: ids[token] for key, token in names.items()},
    }


def glm4v(ids: Ids) -> dict[str, Any]:
    """GLM-4.1V."""
    return glm(ids, "glm4v")


def glm4v_moe(ids: Ids) -> dict[str, Any]:
    """GLM-4.5V: a dense layer and one of experts."""
    experts = {
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 1,
    }
    return glm(ids, "glm4v_moe", **experts)


def glm_ocr(ids: Ids) -> dict[str, Any]:
    """GLM-OCR."""
    return glm(ids, "glm_ocr")


LLAVA = {"vision_feature_layer": -1, "vision_feature_select_strategy": "default"}


def llava(ids: Ids) -> dict[str, Any]:
    """LLaVA 1.5."""
    return {
        "model_type": "llava",
        "text_config": base(ids, model_type="llama"),
        "vision_config": CLIP,
        "image_token_index": ids["<image>"],
        "image_seq_length": 16,
        **LLAVA,
    }


PINPOINTS = [[56, 112], [112, 56], [112, 112]]


def llava_next(ids: Ids) -> dict[str, Any]:
    """LLaVA-NeXT."""
    return llava(ids) | {"model_type": "llava_next", "image_grid_pinpoints": PINPOINTS}


def llava_next_video(ids: Ids) -> dict[str, Any]:
    """LLaVA-NeXT-Video: the resampler halves the rows and columns of a frame's 16 patches."""
    own = {"model_type": "llava_next_video", "video_token_index": ids["<video>"], "spatial_pool_stride": 2}
    return llava_next(ids) | own


def video_llava(ids: Ids) -> dict[str, Any]:
    """Video-LLaVA."""
    return llava(ids) | {
        "model_type": "video_llava",
        "video_token_index": ids["<video>"],
        "video_seq_length": 17 * 8,
    }


def paligemma(ids: Ids) -> dict[str, Any]:
    """PaliGemma: a picture of 56 pixels is 16 tokens."""
    return {
        "model_type": "paligemma",
        "text_config": base(ids, model_type="gemma", num_image_tokens=16),
        "vision_config": SIGLIP | {"projection_dim": 64},
        "projection_dim": 64,
        "hidden_size": 64,
        "image_token_index": ids["<image>"],
    }


PIXTRAL_VISION = {
    "model_type": "pixtral",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "head_dim": 16,
    "image_size": 224,
    "patch_size": 14,
}


def pixtral(ids: Ids) -> dict[str, Any]:
    """Pixtral: LLaVA's class over Pixtral's vision tower."""
    return {
        "model_type": "llava",
        "text_config": base(ids, model_type="mistral"),
        "vision_config": PIXTRAL_VISION,
        "image_token_index": ids["[IMG]"],
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }


def mistral3(ids: Ids) -> dict[str, Any]:
    """Mistral Small 3.1: patches merged two by two."""
    return pixtral(ids) | {"model_type": "mistral3", "spatial_merge_size": 2}


def mllama(ids: Ids) -> dict[str, Any]:
    """Llama 3.2 Vision; its image token lies beyond the output layer's vocabulary."""
    vision = {
        "model_type": "mllama_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "num_attention_heads": 2,
        "vision_output_dim": 64,
        "intermediate_layers_indices": [1],
        "image_size": 56,
        "patch_size": 14,
        "max_num_tiles": 4,
    }
    rope = {
        "rope_type": "llama3",
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
    }
    text = base(ids, model_type="mllama_text_model", cross_attention_layers=[1], rope_scaling=rope)
    return {
        "model_type": "mllama",
        "text_config": {key: value for key, value in text.items() if key != "head_dim"},
        "vision_config": vision,
        "image_token_index": ids["<|image|>"],
    }


def llama4(ids: Ids) -> dict[str, Any]:
    """Llama 4."""
    vision = {
        "model_type": "llama4_vision_model",
        "hidden_size": 32,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vision_output_dim": 64,
        "image_size": 56,
        "patch_size": 14,
        "pixel_shuffle_ratio": 0.5,
        "projector_input_dim": 64,
        "projector_output_dim": 64,
    }
    text = base(
        ids,
        model_type="llama4_text",
        intermediate_size_mlp=128,
        num_local_experts=2,
        num_experts_per_tok=1,
        attention_chunk_size=8192,
    )
    return {
        "model_type": "llama4",
        "text_config": text,
        "vision_config": vision,
        "image_token_index": ids["<|patch|>"],
        "boi_token_index": ids["<|image_start|>"],
        "eoi_token_index": ids["<|image_end|>"],
    }


def lfm2_vl(ids: Ids) -> dict[str, Any]:
    """LFM2-VL: one layer of convolution and one of attention."""
    vision = {
        "model_type": "siglip2_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_patches": 256,
        "patch_size": 16,
        "vision_use_head": False,
    }
    text = base(ids, model_type="lfm2", layer_types=["conv", "full_attention"], block_multiple_of=8)
    return {
        "model_type": "lfm2_vl",
        "text_config": text,
        "vision_config": vision,
        "image_token_id": ids["<image>"],
        "projector_hidden_size": 64,
    }


def ernie_vl(ids: Ids) -> dict[str, Any]:
    """ERNIE 4.5 VL as transformers has it: experts for text and for pictures apart."""
    text = base(
        ids,
        model_type="ernie4_5_vl_moe_text",
        moe_intermediate_size=[32, 16],
        moe_num_experts=4,
        moe_k=2,
        moe_num_shared_experts=1,
        mlp_layer_types=["dense", "sparse"],
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [3, 3, 2]},
    )
    names = {
        "image_token_id": "<|IMAGE_PLACEHOLDER|>",
        "image_start_token_id": "<|IMAGE_START|>",
        "image_end_token_id": "<|IMAGE_END|>",
        "video_token_id": "<|VIDEO_PLACEHOLDER|>",
        "video_start_token_id": "<|VIDEO_START|>",
        "video_end_token_id": "<|VIDEO_END|>",
    }
    return {
        "model_type": "ernie4_5_vl_moe",
        "text_config": {key: value for key, value in text.items() if key not in {"head_dim", "rope_theta"}},
        "vision_config": {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2},
        **{key: ids[token] for key, token in names.items()},
    }


def minicpm_v_4_6(ids: Ids) -> dict[str, Any]:
    """MiniCPM-V 4.6: SigLIP's tower over slices, Qwen3.5's language model."""
    vision = SIGLIP | {"model_type": "minicpmv4_6_vision", "image_size": 448}
    return {
        "model_type": "minicpmv4_6",
        "text_config": linear_attention(ids, {}),
        "vision_config": vision,
        "insert_layer_id": 0,
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
    }
