"""ENV: the run beside the environment that it will use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from validators.budgets.text import model_folder, read_config
from validators.findings import Found
from validators.llamafactory.environment.choose import INSTALLED, environment_words, needed_environment
from validators.llamafactory.environment.run import trained_model
from validators.llamafactory.environment.support import Support, Verdict
from validators.model import MediaKind
from validators.probes import installed
from validators.probes.accelerators import accelerators
from validators.replay.requirements import FLASH
from validators.rules.rule import RunView
from validators.rules.yaml_view import arguments_of, in_yaml, is_train

LOADING = ("", "arguments", "tokenizer and processor", "model")
"""The stages of a failure that a merge meets too."""
VOCABULARIES = ("vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the support table says of a run, and what to do about it."""

    model: str
    there: str
    """The environment, in words."""
    verdict: Verdict
    told: bool
    """Whether the model itself tells its family."""
    needed: str
    """The locked environment that the model needs; "" where none is known to train it."""

    def cure(self, view: RunView) -> str:
        """The one command that makes the model train."""
        if not self.needed:
            return ""
        # a name on the command line or in the configuration stays what it is: the other one has to be named there
        named = view.settings.environment not in (INSTALLED, "")
        return f"curate env --make {self.needed}" if named else f"curate env {view.settings.file}"


def prospect(view: RunView) -> Prospect | None:
    """The support table's answer for a train or merge yaml; None for a target without a yaml."""
    settings = view.settings
    if settings.file is None:
        return None
    media = {kind.value for kind in MediaKind for each in view.plan.datasets if each.entry.media_column(kind)}
    model = trained_model(settings, frozenset(media))
    needed = needed_environment(model)
    helps = model.under(needed.trainer).result is not Support.FAILS
    there = environment_words(settings.environment, settings.trainer)
    return Prospect(model.words, there, model.under(settings.trainer), model.told, needed.name if helps else "")


def meets(view: RunView, verdict: Verdict) -> bool:
    """Whether a failure is this yaml's: a merge takes no step."""
    return is_train(view) or verdict.stage in LOADING


def untrainable_model(view: RunView) -> Iterator[Found]:
    """A model that the environment of the run cannot train.

    ## What it finds
    A model of a family that was run with the versions of LLaMA-Factory and transformers that the run will use, and
    failed; one whose class this transformers does not have. docs/support.md is the table. The environment is the one
    that the summary names: the one that `--env` names, else what is installed beside mmcurate, else the locked one that
    the model needs.

    ## Why it matters
    Everything is downloaded, and often preprocessed, before the model is made and the run stops. MiniCPM-V 4.5 brings
    code of its own that was written for transformers 4: with 5.6.0 it ends with "'MiniCPMV' object has no attribute
    'all_tied_weights_keys'".

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.6.0
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 4.57.1
    ```

    ## Fix
    Run the command that is named: it makes the environment that the model needs, and `curate train` then uses it.
    """
    found = prospect(view)
    if found is None or not found.verdict.fails:
        return
    if meets(view, found.verdict):
        words = f'{found.model} fails with {found.there}: "{found.verdict.words}"'
        expected = f"the environment {found.needed}" if found.needed else "no environment is known to train it"
        yield in_yaml(view, "model_name_or_path", words, expected, found.cure(view))


def doubtful_model(view: RunView) -> Iterator[Found]:
    """A model that failed with versions near those of the run, or with other code of its own.

    ## What it finds
    A model of a family that nobody ran with the versions of LLaMA-Factory and transformers that the run will use, and
    that failed with the nearest ones that were run, of the same major release of transformers; one that failed with an
    older revision of the code that its repository brings.

    ## Why it matters
    What ends a training in one release mostly does in the next one too. MiniCPM-V 2.6's code of August 2024 ends at the
    first step: "a view of a leaf Variable that requires grad is being used in an in-place operation."

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.5.0
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 4.57.1
    ```

    ## Fix
    Run the command that is named, or try a few rows first.
    """
    found = prospect(view)
    if found is None or not found.verdict.doubtful:
        return
    if meets(view, found.verdict):
        words = found.verdict.doubt(found.model, found.there)
        expected = f"the environment {found.needed}" if found.needed else "versions that train it"
        yield in_yaml(view, "model_name_or_path", words, expected, found.cure(view))


def untried_model(view: RunView) -> Iterator[Found]:
    """A model that nobody is known to have trained so.

    ## What it finds
    A training of a model of a family for which docs/support.md has no run, neither with the versions of LLaMA-Factory
    and transformers that the run will use nor with near ones.

    ## Why it matters
    What is predicted of rows follows from the trainer's code. Whether the model's own code works with these versions
    does not.

    ## Bad
    ```yaml train.yaml
    template: minicpm_o
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmo", "version": "4.5", "auto_map": {"AutoModel": "modeling_minicpmo.MiniCPMO"}}
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    trust_remote_code: true
    ```
    ```json model/config.json
    {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    ```

    ## Fix
    Try it: `curate train --drill --dry-run` takes a few rows through the trainer.
    """
    found = prospect(view)
    if found is None or not found.told or not is_train(view):
        return
    if found.verdict.family and found.verdict.result is Support.NOT_RUN:
        words = f"nobody is known to have run {found.model} with {found.there}"
        yield in_yaml(view, "model_name_or_path", words, "a family that docs/support.md has a run of")


def breaking_attention(view: RunView) -> Iterator[Found]:
    """FlashAttention that this transformers breaks.

    ## What it finds
    flash_attn: fa2 with transformers 5.6.0, where there is a GPU and flash-attn is installed.

    ## Why it matters
    transformers 5.6.0 calls `s_aux.to(…)` for models that have no such value (integrations/flash_attention.py:
    flash_attention_forward): the first step ends with "'NoneType' object has no attribute 'to'". LLaMA-Factory's main
    branch refuses that release.

    ## Bad
    ```yaml train.yaml
    flash_attn: fa2
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.6.0, flash-attn 2.8.3, a GPU
    ```

    ## Good
    ```yaml train.yaml
    flash_attn: fa2
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.5.4, flash-attn 2.8.3, a GPU
    ```

    ## Fix
    Use another transformers, or flash_attn: sdpa, which needs no package.
    """
    if asks_for_breaking(view) and uses_flash(view):
        found = f'flash_attn: fa2 with transformers {view.settings.trainer.transformers}: "{NOTHING_TO}"'
        yield in_yaml(view, "flash_attn", found, "another transformers", "flash_attn: sdpa")


def attention_breaking_elsewhere(view: RunView) -> Iterator[Found]:
    """FlashAttention that this transformers would break on a GPU.

    ## What it finds
    flash_attn: fa2 with transformers 5.6.0, where there is no GPU or no flash-attn here.

    ## Why it matters
    Here LLaMA-Factory leaves FlashAttention out and trains on. On a machine with both, the first step ends with
    "'NoneType' object has no attribute 'to'" (transformers 5.6.0, integrations/flash_attention.py).

    ## Bad
    ```yaml train.yaml
    flash_attn: fa2
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.6.0
    ```

    ## Good
    ```yaml train.yaml
    flash_attn: sdpa
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.6.0
    ```

    ## Fix
    Use another transformers, or flash_attn: sdpa. Installing flash-attn makes it worse.
    """
    if asks_for_breaking(view) and not uses_flash(view):
        found = f'flash_attn: fa2 with transformers {view.settings.trainer.transformers}, on a GPU: "{NOTHING_TO}"'
        yield in_yaml(view, "flash_attn", found, "another transformers", "flash_attn: sdpa")


NOTHING_TO = "'NoneType' object has no attribute 'to'"


def asks_for_breaking(view: RunView) -> bool:
    """Whether the yaml asks for FlashAttention where transformers breaks it."""
    asks = is_train(view) and arguments_of(view).among("flash_attn", "fa2")
    return asks and view.settings.trainer.has("flash-attention-without-sink")


def uses_flash(view: RunView) -> bool:
    """Whether FlashAttention would be used here: a GPU, and the package."""
    version = view.version_of("flash-attn")
    return version is not None and installed.accepted(version, FLASH) and accelerators() > 0


def tokenizer_of_newer_release(view: RunView) -> Iterator[Found]:
    """A tokenizer that transformers 5 saved, for transformers 4.

    ## What it finds
    A model folder in model_name_or_path, of a training or a merge, whose tokenizer_config.json transformers 5 wrote in
    a form that transformers 4 does not read: tokenizer_class TokenizersBackend (of any tokenizer without a class of its
    own), extra_special_tokens as a list, or a slow tokenizer of the model's own code without the vocabulary files that
    it reads. Such folders are what a training or an export with transformers 5 leaves behind. The other way round all
    forms are read.

    ## Why it matters
    transformers 4.57.1 stops: "Tokenizer class TokenizersBackend does not exist or is not currently imported."
    (models/auto/tokenization_auto.py), "'list' object has no attribute 'keys'" (tokenization_utils_base.py), which
    LLaMA-Factory 0.9.5 turns into "Failed to load tokenizer." (model/loader.py: load_tokenizer). An adapter's folder
    holds a tokenizer too, which is not read.

    ## Bad
    ```json model/tokenizer_config.json
    {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "eos_token": "<|im_end|>"}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 4.57.1
    ```

    ## Good
    ```json model/tokenizer_config.json
    {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "eos_token": "<|im_end|>"}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 5.5.4
    ```

    ## Fix
    Copy the tokenizer's files from the base model over those of the folder, or use the environment transformers-5.
    """
    settings = view.settings
    folder = model_folder(settings.model)
    if settings.file is None or folder is None or not settings.trainer.has("tokenizers-of-release-4"):
        return
    words = unread_by_release_4(folder, read_config(folder / "tokenizer_config.json"))
    if words:
        found = f"{folder / 'tokenizer_config.json'} was saved by transformers 5; "
        found += f'transformers {settings.trainer.transformers}: "{words}"'
        cure = f"copy the tokenizer's files of the base model into {folder}"
        yield in_yaml(view, "model_name_or_path", found, "a tokenizer that transformers 4 reads", cure)


def unread_by_release_4(folder: Path, config: Mapping[str, object]) -> str:
    """The words with which transformers 4.57.1 refuses a saved tokenizer, "" where it reads it."""
    auto_map = config.get("auto_map")
    own = auto_map.get("AutoTokenizer") if isinstance(auto_map, Mapping) else None
    if own is None and config.get("tokenizer_class") in BACKENDS:
        return f"Tokenizer class {config['tokenizer_class']} does not exist or is not currently imported."
    if isinstance(config.get("extra_special_tokens"), list):
        return "'list' object has no attribute 'keys'"
    slow, fast = (*own, None, None)[:2] if isinstance(own, list) else (own, None)
    needs_files = fast is None and isinstance(slow, str) and not slow.endswith("Fast")
    if needs_files and "backend" in config and not any((folder / name).is_file() for name in VOCABULARIES):
        return "expected str, bytes or os.PathLike object, not NoneType"
    return ""


def hidden_model_type(view: RunView) -> Iterator[Found]:
    """A Qwen2-VL whose type the trainer reads as that of its language model.

    ## What it finds
    A training of a Qwen2-VL or Qwen2.5-VL folder whose config.json has a model_type inside its text_config, with
    transformers 4.57.0 to 4.57.5. Folders that a training or an export with transformers 4.57 wrote are so; the
    published ones are not.

    ## Why it matters
    Those releases answer with the inner type, "qwen2_vl_text" (models/qwen2_vl/configuration_qwen2_vl.py:
    __getattribute__). LLaMA-Factory 0.9.5 knows no parts of such a model (model/model_utils/visual.py:
    COMPOSITE_MODELS): freeze_vision_tower and freeze_multi_modal_projector hold nothing, and `lora_target: all` stops
    the run ("Target module Qwen2VLVisionBlock … is not supported").

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json model/config.json
    {"model_type": "qwen2_vl", "text_config": {"model_type": "qwen2_vl_text", "hidden_size": 1536}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 4.57.1
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json model/config.json
    {"model_type": "qwen2_vl", "text_config": {"hidden_size": 1536}}
    ```
    ```text environment
    llamafactory 0.9.5, transformers 4.57.1
    ```

    ## Fix
    Remove model_type from text_config in the model folder's config.json; nothing else reads it there.
    """
    folder = model_folder(view.settings.model)
    if folder is None or not is_train(view) or not view.settings.trainer.has("nested-type-hides-its-model"):
        return
    config = read_config(folder / "config.json")
    inner = config.get("text_config")
    said = inner.get("model_type") if isinstance(inner, Mapping) else None
    if config.get("model_type") in ("qwen2_vl", "qwen2_5_vl") and said not in (None, config["model_type"]):
        found = f"{folder / 'config.json'}: text_config.model_type {said!r} hides the model's, {config['model_type']!r}"
        yield in_yaml(view, "model_name_or_path", found, "no model_type in text_config")


BACKENDS = ("TokenizersBackend", "PythonBackend", "SentencePieceBackend", "MistralCommonBackend")
"""Classes of transformers 5 for tokenizers without one of their own (models/auto/tokenization_auto.py)."""
