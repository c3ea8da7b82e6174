"""Configurations: the language model's own keys at the top, as MiniCPM has them, and one config for each encoder."""

from typing import Any

from transformers import Qwen2Config, Qwen3Config, SiglipVisionConfig, WhisperConfig

SLICES: dict[str, Any] = {"max_slice_nums": 9, "scale_resolution": 448, "patch_size": 14, "model_type": "minicpmv"}


class MiniCPMVConfig(Qwen3Config):
    """MiniCPM-V 4.5: images and videos."""

    model_type = "minicpmv"

    def __init__(
        self,
        version: float = 4.5,
        query_num: int = 64,
        use_image_id: bool = True,
        vision_config: dict[str, Any] | None = None,
        slice_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.version, self.query_num, self.use_image_id = version, query_num, use_image_id
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.slice_config = dict(slice_config or SLICES)
        self.slice_mode = True
        self.patch_size = self.vision_config.patch_size
        super().__init__(**kwargs)


class MiniCPMOConfig(Qwen2Config):
    """MiniCPM-o 2.6: sounds, too. LLaMA-Factory sets init_audio and init_tts (model/patcher.py: patch_config)."""

    model_type = "minicpmo"

    def __init__(
        self,
        version: float = 2.6,
        query_num: int = 64,
        use_image_id: bool = True,
        vision_config: dict[str, Any] | None = None,
        slice_config: dict[str, Any] | None = None,
        audio_config: dict[str, Any] | None = None,
        audio_pool_step: int = 2,
        init_audio: bool = True,
        init_tts: bool = False,
        **kwargs: Any,
    ) -> None:
        self.version, self.query_num, self.use_image_id = version, query_num, use_image_id
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.audio_config = WhisperConfig(**(audio_config or {}))
        self.slice_config = dict(slice_config or SLICES)
        self.slice_mode = True
        self.patch_size = self.vision_config.patch_size
        self.audio_pool_step, self.init_audio, self.init_tts = audio_pool_step, init_audio, init_tts
        super().__init__(**kwargs)
