"""A merge yaml, refused where its adapters and base do not belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from train.tensors import weights_of
from train.verify import Proof, unknown
from validators.errors import UsageFault
from validators.replay.adapter import CONFIG, Adapter
from validators.replay.adapter_base import Match, find_folder, judge_base
from validators.replay.arguments import Arguments


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge yaml asks for. Without adapters the model is only saved anew (quantized, or in other shards)."""

    file: Path
    base: str
    adapters: tuple[Path, ...]
    out: Path
    arguments: Arguments

    @property
    def base_folder(self) -> Path | None:
        """Where the base lies: its folder, or its snapshot in the cache of the hub; None where it is not here."""
        return find_folder(self.base, self.arguments)

    @property
    def quantizes(self) -> bool:
        """Whether the saved tensors are packed numbers instead of weights."""
        return self.arguments.given("export_quantization_bit")


def read_merge(file: Path, settings: Mapping[str, object]) -> Merge:
    """The folders of a merge yaml; UsageFault where one is not named, or an adapter is not there."""

    def text(key: str) -> str:
        value = settings.get(key)
        if not isinstance(value, str) or not value:
            raise UsageFault(file, f"{key} is {value!r}", "a path")
        return value

    arguments = Arguments(settings)
    base, adapters = text("model_name_or_path"), settings.get("adapter_name_or_path")
    if isinstance(adapters, list):
        # LLaMA-Factory 0.9.5, hparams/model_args.py: BaseModelArguments splits text, and stops at a list
        raise UsageFault(file, "adapter_name_or_path is a list", f"text: {','.join(map(str, adapters))}")
    names = () if adapters is None else tuple(part.strip() for part in text("adapter_name_or_path").split(","))
    merge = Merge(
        file, base, tuple(adapter_of(file, name, arguments) for name in names), Path(text("export_dir")), arguments
    )
    sources = [folder.resolve() for folder in (merge.base_folder, *merge.adapters) if folder is not None]
    if merge.out.resolve() in sources:
        raise UsageFault(file, f"export_dir {merge.out} is the base or the adapter", "a folder of its own")
    return merge


def adapter_of(file: Path, name: str, arguments: Arguments) -> Path:
    """The folder of one adapter with its weights; UsageFault where there is none."""
    inner = arguments["adapter_folder"]
    folder = find_folder(name, arguments) or Path(name)
    folder = folder / inner if isinstance(inner, str) else folder
    if not (folder / CONFIG).is_file():
        raise UsageFault(file, f"no adapter in {folder}", "a folder with adapter_config.json", "train it first")
    if not weights_of(folder).infos:
        raise UsageFault(file, f"no adapter weights in {folder}", "adapter_model.safetensors")
    return folder


def check_merge(merge: Merge) -> list[Proof]:
    """Whether each adapter was trained on this base, and whether the upload that is asked for can begin."""
    proofs = [check_adapter(merge, folder) for folder in merge.adapters]
    return proofs + ([check_upload(merge)] if merge.arguments.given("export_hub_model_id") else [])


def check_adapter(merge: Merge, folder: Path) -> Proof:
    """Whether the adapter was trained on this base, as `curate check` judges it too."""
    verdict = judge_base(Adapter(folder), merge.base, merge.arguments)
    open_ = verdict.match in (Match.OTHER, Match.UNKNOWN)
    return Proof("adapter belongs to the base", folder, verdict.match is not Match.UNFIT, verdict.words, open_)


def check_upload(merge: Merge) -> Proof:
    """Whether the Hub can be spoken to at all: the merge comes first, and the upload's failure last.

    The name's form is judged by malformed-hub-name; whether the token may write there only the Hub knows.
    """
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HUB_OFFLINE

    what, name = f"upload to {merge.arguments['export_hub_model_id']}", merge.file
    if HF_HUB_OFFLINE:
        return Proof(what, name, False, "HF_HUB_OFFLINE is set")
    if not (merge.arguments["hf_hub_token"] or get_token()):
        return Proof(what, name, False, "no token: HF_TOKEN, or `hf auth login`")
    return unknown(what, name, "a token is there; whether it may write there is known at the upload")
