"""Architectures that the demo trains in miniature: for each its special tokens, processor and random model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Made = Callable[[Any], Any]
"""A transformers tokenizer in, a processor or a model out."""
SOUND_SECONDS = 10  # Whisper pads each sound to this; the demo's are shorter, and 30 or 300 would make steps slow


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture in miniature."""

    tokens: tuple[str, ...]
    """Special tokens beside ChatML's."""
    processor: Made
    model: Made
    named: Mapping[str, str] = field(default_factory=dict)
    """Those among them that the processor asks the tokenizer for by name."""
    own_code: str = ""
    """The part of MiniCPM's class names that tells its models apart, for a model with code of its own."""
    speakers: bool = False
    """Whether transformers looks for a file of voices beside the weights."""


def text_config(tokenizer: Any, **more: object) -> dict[str, Any]:  # noqa: ANN401
    """A language model of two layers over the tokenizer's vocabulary."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        # transformers 5 makes `rope_parameters` of these two; head size 16: the sections of time, height and width fill
        # its half, 8
        "rope_theta": 10000.0,
        "rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    } | more


def ids(tokenizer: Any, **tokens: str) -> dict[str, int]:  # noqa: ANN401
    """Config keys with the ids of tokens."""
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in tokens.items()}


def sound_extractor() -> Any:  # noqa: ANN401
    """Whisper's feature extractor with the 128 mel bins of the Qwen families."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=128, chunk_length=SOUND_SECONDS)


def sound_config(**more: object) -> dict[str, Any]:
    """An audio encoder of one layer."""
    return {
        "d_model": 32,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "num_mel_bins": 128,
        "max_source_positions": SOUND_SECONDS * 50,  # two mel frames of 10 ms a position
    } | more


def qwen2_vl_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """Qwen2-VL's own image and video processor."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(), tokenizer=tokenizer, video_processor=Qwen2VLVideoProcessor()
    )


def qwen2_vl(tokenizer: Any) -> Any:  # noqa: ANN401
    """Pictures and videos."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    config = Qwen2VLConfig(
        text_config=text_config(tokenizer),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        tie_word_embeddings=False,
        **ids(
            tokenizer,
            image_token_id="<|image_pad|>",
            video_token_id="<|video_pad|>",
            vision_start_token_id="<|vision_start|>",
            vision_end_token_id="<|vision_end|>",
        ),
    )
    return Qwen2VLForConditionalGeneration(config)


def qwen2_audio_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """Qwen2-Audio's."""
    from transformers import Qwen2AudioProcessor

    return Qwen2AudioProcessor(sound_extractor(), tokenizer)


def qwen2_audio(tokenizer: Any) -> Any:  # noqa: ANN401
    """Sounds."""
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    text = text_config(tokenizer, model_type="qwen2", rope_scaling=None)
    config = Qwen2AudioConfig(
        audio_config=sound_config(),
        text_config=text,
        **ids(tokenizer, audio_token_id="<|AUDIO|>", audio_token_index="<|AUDIO|>"),
    )
    return Qwen2AudioForConditionalGeneration(config)


OMNI_TOKENS = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}


def qwen2_5_omni_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """Qwen2.5-Omni's."""
    from transformers import Qwen2_5OmniProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    return Qwen2_5OmniProcessor(Qwen2VLImageProcessor(), Qwen2VLVideoProcessor(), sound_extractor(), tokenizer)


def qwen2_5_omni(tokenizer: Any) -> Any:  # noqa: ANN401
    """Images, videos, sounds, and videos with their sound: a whole model without the parts that speak.

    LLaMA-Factory takes the thinker out and trains it (model/loader.py). The thinker's own model type is known to
    transformers from 5.6 on only, so a folder of it alone loads neither in 4.57 nor in 5.5.
    """
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniThinkerConfig

    thinker = Qwen2_5OmniThinkerConfig(
        text_config=text_config(tokenizer),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        audio_config=sound_config(output_dim=64),
        position_id_per_seconds=25,
        seconds_per_chunk=2,
        **ids(
            tokenizer,
            image_token_id="<|IMAGE|>",
            video_token_id="<|VIDEO|>",
            audio_token_id="<|AUDIO|>",
            audio_start_token_id="<|audio_bos|>",
            audio_end_token_id="<|audio_eos|>",
            vision_start_token_id="<|vision_bos|>",
            vision_end_token_id="<|vision_eos|>",
        ),
    )
    config = Qwen2_5OmniConfig(thinker_config=thinker.to_dict(), enable_audio_output=False)
    return Qwen2_5OmniForConditionalGeneration(config)


MINICPM_TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}


def minicpm_v_4_6_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """MiniCPM-V 4.6's own; the first transformers that has it is 5.7."""
    from transformers import MiniCPMV4_6ImageProcessor, MiniCPMV4_6Processor, MiniCPMV4_6VideoProcessor

    # slices of 112 pixels instead of 448: a sixteenth of the patches
    images = MiniCPMV4_6ImageProcessor(scale_resolution=112, max_slice_nums=4)
    return MiniCPMV4_6Processor(images, MiniCPMV4_6VideoProcessor(), tokenizer)


def minicpm_v_4_6(tokenizer: Any) -> Any:  # noqa: ANN401
    """Pictures in slices; the language model is Qwen3.5's, one layer of linear attention and one of full."""
    from transformers import MiniCPMV4_6Config, MiniCPMV4_6ForConditionalGeneration

    text = text_config(
        tokenizer,
        model_type="qwen3_5_text",
        head_dim=16,
        rope_scaling={"rope_type": "default", "partial_rotary_factor": 0.5},
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
    )
    config = MiniCPMV4_6Config(
        text_config=text,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 448,
            "patch_size": 14,
        },
        insert_layer_id=0,
        **ids(tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>"),
    )
    return MiniCPMV4_6ForConditionalGeneration(config)


MINICPM_MARKS = (
    *("<unk>", "<image>", "</image>", "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<point>", "</point>"),
    *("<slice>", "</slice>", "<image_id>", "</image_id>", "<unit>", "</unit>"),
)
MINICPM_SOUNDS = ("<|audio_start|>", "<|audio|>", "<|audio_end|>", "<|spk_bos|>", "<|spk|>", "<|spk_eos|>")
MINICPM_IMAGES: dict[str, Any] = {
    "max_slice_nums": 9,
    "scale_resolution": 448,
    "patch_size": 14,
    "use_image_id": True,
    "image_feature_size": 64,
    "slice_mode": True,
    "version": 2.6,
}
"""preprocessor_config.json of MiniCPM-V 4.5, as published: the version in it is 2.6's."""


def minicpm_vision() -> dict[str, int]:
    """An encoder of one layer over patches of 14 pixels."""
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 980,
        "patch_size": 14,
    }


def minicpm_v_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """MiniCPM-V 4.5's, of this project's own code."""
    from train.demo.minicpm.image_processing_minicpm import MiniCPMImageProcessor
    from train.demo.minicpm.processing_minicpm import MiniCPMVProcessor

    return MiniCPMVProcessor(MiniCPMImageProcessor(**MINICPM_IMAGES), tokenizer)


def minicpm_v_4_5(tokenizer: Any) -> Any:  # noqa: ANN401
    """Images in slices and packed frames over Qwen3."""
    from train.demo.minicpm.configuration_minicpm import MiniCPMVConfig
    from train.demo.minicpm.modeling_minicpm import MiniCPMV

    text = text_config(tokenizer, rope_scaling=None, head_dim=16, tie_word_embeddings=False)
    return MiniCPMV(MiniCPMVConfig(version=4.5, vision_config=minicpm_vision(), **text))


def minicpm_o_processor(tokenizer: Any) -> Any:  # noqa: ANN401
    """MiniCPM-o 2.6's, with Whisper's feature extractor of 80 mel bins."""
    from transformers import WhisperFeatureExtractor

    from train.demo.minicpm.image_processing_minicpm import MiniCPMImageProcessor
    from train.demo.minicpm.processing_minicpm import MiniCPMOProcessor

    return MiniCPMOProcessor(
        MiniCPMImageProcessor(**MINICPM_IMAGES), WhisperFeatureExtractor(**MINICPM_IMAGES), tokenizer
    )


def minicpm_o_2_6(tokenizer: Any) -> Any:  # noqa: ANN401
    """Images, videos and sounds over Qwen2."""
    from train.demo.minicpm.configuration_minicpm import MiniCPMOConfig
    from train.demo.minicpm.modeling_minicpm import MiniCPMO

    text = text_config(tokenizer, rope_scaling=None, tie_word_embeddings=False)
    heard = sound_config(num_mel_bins=80, max_source_positions=1500)
    return MiniCPMO(MiniCPMOConfig(version=2.6, vision_config=minicpm_vision(), audio_config=heard, **text))


DEFAULT = "qwen2_vl"
FAMILIES: Mapping[str, Family] = {
    "qwen2_vl": Family(
        (
            "<|vision_start|>",
            "<|vision_end|>",
            "<|vision_pad|>",
            "<|image_pad|>",
            "<|video_pad|>",
        ),
        qwen2_vl_processor,
        qwen2_vl,
    ),
    "qwen2_audio": Family(("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"), qwen2_audio_processor, qwen2_audio),
    "qwen2_5_omni": Family(
        tuple(OMNI_TOKENS.values()), qwen2_5_omni_processor, qwen2_5_omni, OMNI_TOKENS, speakers=True
    ),
    "minicpm_o_2_6": Family((*MINICPM_MARKS, *MINICPM_SOUNDS), minicpm_o_processor, minicpm_o_2_6, own_code="MiniCPMO"),
    "minicpm_v_4_5": Family(MINICPM_MARKS, minicpm_v_processor, minicpm_v_4_5, own_code="MiniCPMV"),
    "minicpm_v_4_6": Family(tuple(MINICPM_TOKENS.values()), minicpm_v_4_6_processor, minicpm_v_4_6, MINICPM_TOKENS),
}
