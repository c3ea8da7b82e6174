"""Which keys of a train yaml need which packages: literal tables, held against the installed trainer by a test."""

from __future__ import annotations

from collections.abc import Mapping

# key → what llamafactory 0.9.5 then demands, whatever DISABLE_VERSION_CHECK says
# (hparams/parser.py: _check_extra_dependencies)
DEMANDS: Mapping[str, tuple[str, ...]] = {
    "use_kt": ("kt-kernel", "transformers-kt", "accelerate-kt"),
    "use_unsloth": ("unsloth",),
    "enable_liger_kernel": ("liger-kernel",),
    "mixture_of_depths": ("mixture-of-depth>=1.1.6",),
    "use_galore": ("galore_torch",),
    "use_apollo": ("apollo_torch",),
    "use_badam": ("badam>=1.2.1",),
    "use_adam_mini": ("adam-mini",),
    "use_swanlab": ("swanlab",),
    "plot_loss": ("matplotlib",),
    "deepspeed": ("deepspeed",),
    "predict_with_generate": ("jieba", "nltk", "rouge_chinese"),
}
# model/model_utils/quantization.py: configure_quantization
QUANTIZERS: Mapping[str, str] = {"bnb": "bitsandbytes>=0.39.0", "hqq": "hqq", "eetq": "eetq"}
EXPORT_QUANTIZER = ("optimum>=1.24.0", "gptqmodel>=2.0.0")
"""The same function's, for export_quantization_bit."""
BITSANDBYTES = frozenset([
    "adamw_bnb_8bit", "adamw_8bit", "ademamix", "ademamix_8bit", "lion_8bit", "lion_32bit", "paged_adamw_32bit",
    "paged_adamw_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit",
    "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
])  # fmt: skip
"""Values of `optim` that are bitsandbytes' (transformers 5.6.0, trainer_optimizer.py)."""
# transformers 5.6.0, integrations/integration_utils.py: each callback raises without its package
LOGGERS: Mapping[str, tuple[str, ...]] = {
    "wandb": ("wandb",),
    "tensorboard": ("tensorboard", "tensorboardx"),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
    "swanlab": ("swanlab",),
    "clearml": ("clearml",),
    "comet_ml": ("comet-ml",),
    "neptune": ("neptune",),
    "codecarbon": ("codecarbon",),
    "dvclive": ("dvclive",),
}
FLASH = ">=2.3.3"
"""transformers 5.6.0, utils/import_utils.py: is_flash_attn_2_available."""
# extras/misc.py: check_dependencies
TRAINER_BOUNDS = (
    "transformers>=4.55.0,<=5.6.0",
    "datasets>=2.16.0,<=4.0.0",
    "accelerate>=1.3.0,<=1.15.0",
    "peft>=0.18.0,<=0.20.0",
    "trl>=0.18.0,<=0.24.0",
)
