"""The values of the MiniCPM-V cookbook's LLaMA-Factory guide as plans: the text of train/recipes/minicpm_v_4_5_*.yaml.

The words of comments are those of `curate init`; `make docs` writes the files anew.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from train.starter.plan import Plan
from train.starter.words import fork_words, merge_yaml, train_yaml, wrapped
from train.starter.zero import Zero
from validators.model import MediaKind

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
LORA = Plan(
    model="openbmb/MiniCPM-V-4_5",
    model_words="a hub name or a local folder",
    template="minicpm_v",
    own_code=True,
    takes=frozenset([MediaKind.IMAGE, MediaKind.VIDEO]),
    kinds=frozenset([MediaKind.IMAGE, MediaKind.VIDEO]),
    method="lora",
    datasets=("cpmv_img",),
    dataset_words="a name in dataset_dir/dataset_info.json",
    dataset_dir="data",
    output_dir="saves/minicpmv4_5/lora/sft",
    export_dir="models/minicpmv4_5_lora_sft",
    cutoff_len=3072,
    cutoff_words="`curate check` names the lowest that cuts nothing",
    limits={
        "video_fps": (15.0, "frames of a second that are taken"),
        "video_maxlen": (128, "at most so many frames of a video"),
    },
    lora_target="q_proj,v_proj",
    max_samples=1000,
    workers=16,
    batch=2,
    rate=1.0e-5,
    epochs=20.0,
    save_steps=100,
    save_total_limit=10,
    save_only_model=True,
    overwrite=True,
    waits=True,
    export_size=2,
    head=(
        "MiniCPM-V 4.5, LoRA: the values of the MiniCPM-V cookbook's LLaMA-Factory guide.",
        *wrapped(fork_words()),
        "`curate init BUILD --model minicpm-v-4.5` writes such a yaml with the values that your data ask for.",
    ),
)
FULL = replace(
    LORA,
    method="full",
    output_dir="saves/minicpmv4_5/full/sft",
    zero=Zero.TWO,
    deepspeed="train/deepspeed/ds_z2_config.json",
    flash=True,
    limits={},
    kinds=frozenset([MediaKind.IMAGE]),
    head=("MiniCPM-V 4.5, all of the language model with DeepSpeed ZeRO-2: the values of the cookbook's guide.",),
)


def recipes() -> dict[str, str]:
    """File name in train/recipes -> text."""
    return {
        "minicpm_v_4_5_lora.yaml": train_yaml(LORA),
        "minicpm_v_4_5_full.yaml": train_yaml(FULL),
        "minicpm_v_4_5_merge.yaml": merge_yaml(LORA),
    }
