"""transformers' own processors, set for small pictures, over a tokenizer."""

from __future__ import annotations

from typing import Any

SMALL = {"height": 56, "width": 56}
EDGE = {"shortest_edge": 56}
TILES = [[56, 112], [112, 56], [112, 112]]


def qwen2_vl(tokenizer: Any) -> Any:
    """Qwen2-VL's."""
    import transformers as t

    return t.Qwen2VLProcessor(t.Qwen2VLImageProcessor(), tokenizer, t.Qwen2VLVideoProcessor())


def qwen2_5_vl(tokenizer: Any) -> Any:
    """Qwen2.5-VL's."""
    import transformers as t

    return t.Qwen2_5_VLProcessor(t.Qwen2VLImageProcessor(), tokenizer, t.Qwen2VLVideoProcessor())


def qwen3_vl(tokenizer: Any) -> Any:
    """Qwen3-VL's and Qwen3.5's."""
    import transformers as t

    images = t.Qwen2VLImageProcessor(patch_size=16, size={"shortest_edge": 65536, "longest_edge": 16777216})
    videos = t.Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": 25165824})
    return t.Qwen3VLProcessor(images, tokenizer, videos)


def qwen2_audio(tokenizer: Any) -> Any:
    """Qwen2-Audio's."""
    import transformers as t

    return t.Qwen2AudioProcessor(t.WhisperFeatureExtractor(feature_size=128), tokenizer)


def qwen2_5_omni(tokenizer: Any) -> Any:
    """Qwen2.5-Omni's, with 30 seconds of sound instead of 300, as all are padded to that."""
    import transformers as t

    sounds = t.WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    return t.Qwen2_5OmniProcessor(t.Qwen2VLImageProcessor(), t.Qwen2VLVideoProcessor(), sounds, tokenizer)


def qwen3_omni(tokenizer: Any) -> Any:
    """Qwen3-Omni's, whose patches are of 16 pixels."""
    import transformers as t

    images = t.Qwen2VLImageProcessor(patch_size=16, size={"shortest_edge": 3136, "longest_edge": 12845056})
    videos = t.Qwen2VLVideoProcessor(patch_size=16, size={"shortest_edge": 131072, "longest_edge": 786432})
    sounds = t.WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    return t.Qwen3OmniMoeProcessor(images, videos, sounds, tokenizer)


def gemma3(tokenizer: Any) -> Any:
    """Gemma 3's."""
    import transformers as t

    return t.Gemma3Processor(t.Gemma3ImageProcessor(size=SMALL), tokenizer, image_seq_length=4)


def gemma3n(tokenizer: Any) -> Any:
    """Gemma 3n's; the sequence lengths are what its towers make of any picture and sound."""
    import transformers as t

    images = t.SiglipImageProcessor(size={"height": 768, "width": 768})
    return t.Gemma3nProcessor(t.Gemma3nAudioFeatureExtractor(), images, tokenizer)


def gemma4(tokenizer: Any) -> Any:
    """Gemma 4's."""
    import transformers as t

    return t.Gemma4Processor(
        t.Gemma4AudioFeatureExtractor(), t.Gemma4ImageProcessor(), tokenizer, t.Gemma4VideoProcessor()
    )


def internvl(tokenizer: Any) -> Any:
    """InternVL's."""
    import transformers as t

    images, videos = t.GotOcr2ImageProcessor(size=SMALL), t.InternVLVideoProcessor(size=SMALL)
    return t.InternVLProcessor(images, tokenizer, videos, image_seq_length=4)


def glm4v(tokenizer: Any) -> Any:
    """GLM-4.1V's and GLM-4.5V's."""
    import transformers as t

    return t.Glm4vProcessor(t.Glm4vImageProcessor(), tokenizer, t.Glm4vVideoProcessor())


def glm46v(tokenizer: Any) -> Any:
    """GLM-4.6V's and GLM-OCR's."""
    import transformers as t

    return t.Glm46VProcessor(t.Glm46VImageProcessor(), tokenizer, t.Glm46VVideoProcessor())


LLAVA = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}


def llava(tokenizer: Any) -> Any:
    """LLaVA 1.5's."""
    import transformers as t

    return t.LlavaProcessor(t.CLIPImageProcessor(size=EDGE, crop_size=SMALL), tokenizer, **LLAVA)


def llava_next(tokenizer: Any) -> Any:
    """LLaVA-NeXT's."""
    import transformers as t

    images = t.LlavaNextImageProcessor(size=EDGE, crop_size=SMALL, image_grid_pinpoints=TILES)
    return t.LlavaNextProcessor(images, tokenizer, **LLAVA)


def llava_next_video(tokenizer: Any) -> Any:
    """LLaVA-NeXT-Video's."""
    import transformers as t

    images = t.LlavaNextImageProcessor(size=EDGE, crop_size=SMALL, image_grid_pinpoints=TILES)
    videos = t.LlavaNextVideoVideoProcessor(size=EDGE, crop_size=SMALL)
    return t.LlavaNextVideoProcessor(videos, images, tokenizer, **LLAVA)


def video_llava(tokenizer: Any) -> Any:
    """Video-LLaVA's."""
    import transformers as t

    images = t.VideoLlavaImageProcessor(size=EDGE, crop_size=SMALL)
    videos = t.VideoLlavaVideoProcessor(size=EDGE, crop_size=SMALL)
    return t.VideoLlavaProcessor(images, videos, tokenizer, **LLAVA)


def paligemma(tokenizer: Any) -> Any:
    """PaliGemma's."""
    import transformers as t

    images = t.SiglipImageProcessor(size=SMALL)
    images.image_seq_length = 16
    return t.PaliGemmaProcessor(images, tokenizer)


def pixtral(tokenizer: Any) -> Any:
    """Pixtral's."""
    import transformers as t

    images = t.PixtralImageProcessor(size={"longest_edge": 224}, patch_size=14)
    return t.PixtralProcessor(images, tokenizer, patch_size=14)


def mistral3(tokenizer: Any) -> Any:
    """Mistral Small 3.1's."""
    import transformers as t

    images = t.PixtralImageProcessor(size={"longest_edge": 224}, patch_size=14)
    return t.PixtralProcessor(images, tokenizer, patch_size=14, spatial_merge_size=2)


def mllama(tokenizer: Any) -> Any:
    """Llama 3.2 Vision's."""
    import transformers as t

    return t.MllamaProcessor(t.MllamaImageProcessor(size=SMALL), tokenizer)


def llama4(tokenizer: Any) -> Any:
    """Llama 4's."""
    import transformers as t

    images = getattr(t, "Llama4ImageProcessorFast", None) or t.Llama4ImageProcessor
    return t.Llama4Processor(images(size=SMALL), tokenizer)


def lfm2_vl(tokenizer: Any) -> Any:
    """LFM2-VL's."""
    import transformers as t

    images = getattr(t, "Lfm2VlImageProcessorFast", None) or t.Lfm2VlImageProcessor
    return t.Lfm2VlProcessor(images(), tokenizer)


def ernie_vl(tokenizer: Any) -> Any:
    """ERNIE 4.5 VL's; its video processor would draw the time with a font that is no part of transformers."""
    import transformers as t

    images, videos = t.Ernie4_5_VLMoeImageProcessor(), t.Ernie4_5_VLMoeVideoProcessor(draw_on_frames=False)
    return t.Ernie4_5_VLMoeProcessor(images, tokenizer, videos)


def minicpm_v_4_6(tokenizer: Any) -> Any:
    """MiniCPM-V 4.6's, with slices of 112 pixels instead of 448."""
    import transformers as t

    images = t.MiniCPMV4_6ImageProcessor(scale_resolution=112, max_slice_nums=4)
    return t.MiniCPMV4_6Processor(images, t.MiniCPMV4_6VideoProcessor(), tokenizer)
