"""EXP: merge yamls, and the adapters and bases that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from validators.budgets.text import model_config, read_config
from validators.errors import UsageFault
from validators.findings import Found
from validators.probes.safetensors import tensors_of
from validators.replay.arguments import exists
from validators.rules.config import PROCESSOR_FILES
from validators.rules.folders import adapters_of, is_local
from validators.rules.rule import RunView
from validators.rules.yaml_view import arguments_of, in_yaml, merges
from validators.sources.rows import iter_rows
from validators.sources.target import mapping

RECORD = "run.json"
"""What `curate train` leaves beside an adapter."""
HUB_NAME = re.compile(r"(\b[\w\-.]{1,96}\b/)?\b[\w\-.]{1,96}\b", re.ASCII)
"""huggingface_hub, utils/_validators.py: REPO_ID_REGEX."""
TEXT_FILES = frozenset(["arrow", "csv", "json", "jsonl", "parquet", "txt"])
"""llamafactory 0.9.5, extras/constants.py: FILEEXT2TYPE."""


def no_export_dir(view: RunView) -> Iterator[Found]:
    """A merge yaml that does not say where to.

    ## What it finds
    Keys of `llamafactory-cli export` (export_size, export_device, …) without export_dir.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops with "Please specify `export_dir` to save model." (train/tuner.py: export_model).

    ## Bad
    ```yaml merge.yaml
    export_dir:
    export_size: 5
    ```

    ## Good
    ```yaml merge.yaml
    export_dir: merged
    export_size: 5
    ```

    ## Fix
    Add export_dir: a folder for the merged model.
    """
    if merges(view.settings) and view.settings.raw.get("export_dir") is None:
        yield in_yaml(view, "export_dir", "no export_dir", "a folder for the merged model")


def merge_without_template(view: RunView) -> Iterator[Found]:
    """A merge yaml that names no template.

    ## What it finds
    No `template` beside export_dir.

    ## Why it matters
    LLaMA-Factory 0.9.5 then goes by the tokenizer's own chat template, or by `empty` where it has none, so that the
    merged tokenizer lacks the end and stop tokens of the template that was trained with (data/template.py:
    get_template_and_fix_tokenizer).

    ## Bad
    ```yaml merge.yaml
    template:
    ```

    ## Good
    ```yaml merge.yaml
    template: qwen2_vl
    ```

    ## Fix
    Name the template of the training.
    """
    if merges(view.settings) and view.settings.template is None:
        yield in_yaml(view, "template", "no template", "the template of the training")


def base_without_processor(view: RunView) -> Iterator[Found]:
    """A merge of a model for media whose base has no processor.

    ## What it finds
    A local base with neither preprocessor_config.json nor processor_config.json, under a template that takes media.

    ## Why it matters
    LLaMA-Factory 0.9.5 saves the processor that it has loaded, and none where there was none (train/tuner.py:
    export_model): the merged folder then cannot be used with images, nor trained on further.

    ## Bad
    ```yaml merge.yaml
    model_name_or_path: words
    ```
    ```json words/config.json
    {"model_type": "qwen2_vl"}
    ```
    ```json adapter/adapter_config.json
    {"base_model_name_or_path": "words"}
    ```

    ## Good
    ```yaml merge.yaml
    model_name_or_path: model
    ```

    ## Fix
    Copy the processor's files from the model's page into the base.
    """
    model, template = view.settings.model, view.template
    folder = Path(model) if model is not None else None
    if not merges(view.settings) or template is None or not template.takes_media or folder is None:
        return
    if folder.is_dir() and not any((folder / name).is_file() for name in PROCESSOR_FILES):
        yield in_yaml(view, "model_name_or_path", f"no {' or '.join(PROCESSOR_FILES)} in {folder}", "a processor")


def unreadable_weights(view: RunView) -> Iterator[Found]:
    """A safetensors file that is cut off or is none.

    ## What it finds
    A file of the base or the adapter whose header cannot be read, or promises more bytes than there are: a download or
    copy that was broken off, or a Git LFS pointer instead of the file.

    ## Why it matters
    The trainer stops when it loads the model: "Error while deserializing header" (safetensors), after the data have
    been prepared.

    ## Bad
    ```yaml merge.yaml
    model_name_or_path: model
    ```
    ```text model/model.safetensors
    version https://git-lfs.github.com/spec/v1
    ```

    ## Good
    ```yaml merge.yaml
    model_name_or_path: model
    ```

    ## Fix
    Fetch the file again (`git lfs pull`, `hf download`).
    """
    if view.settings.file is None:
        return
    folders = [("adapter_name_or_path", adapter.folder) for _, adapter in adapters_of(arguments_of(view))]
    if view.settings.model is not None:
        folders.append(("model_name_or_path", Path(view.settings.model)))
    for key, folder in folders:
        try:
            tensors_of(folder)
        except (UsageFault, OSError) as fault:
            found, expected = (fault.found, fault.expected) if isinstance(fault, UsageFault) else (str(fault), "a file")
            where = fault.where if isinstance(fault, UsageFault) else str(folder)
            yield in_yaml(view, key, f"{where}: {found}", expected)


def malformed_hub_name(view: RunView) -> Iterator[Found]:
    """A name that no hub takes.

    ## What it finds
    export_hub_model_id (or hub_model_id) that is not `owner/name` of letters, digits, `-`, `_` and `.`.

    ## Why it matters
    The merged model is written first, and the upload then ends with an HFValidationError (huggingface_hub,
    utils/_validators.py: validate_repo_id): tokenizer and processor are not saved at all.

    ## Bad
    ```yaml merge.yaml
    export_hub_model_id: https://huggingface.co/me/merged
    ```

    ## Good
    ```yaml merge.yaml
    export_hub_model_id: me/merged
    ```

    ## Fix
    Write owner/name.
    """
    for key in ("export_hub_model_id", "hub_model_id"):
        name = view.settings.raw.get(key)
        if isinstance(name, str) and view.settings.file is not None:
            sound = HUB_NAME.fullmatch(name) and "--" not in name and ".." not in name and not name.endswith(".git")
            if not sound:
                yield in_yaml(view, key, f"{key}: {name}", "owner/name")


def unusable_quantization_data(view: RunView) -> Iterator[Found]:
    """Texts that an export cannot quantize by.

    ## What it finds
    With export_quantization_bit: an export_quantization_dataset that is not there, whose name ends in nothing that the
    trainer reads, or whose first row has no `text`; export_quantization_nsamples or export_quantization_maxlen below 1.

    ## Why it matters
    LLaMA-Factory 0.9.5 loads the texts with `datasets`, takes row["text"], and draws as many pieces of that length as
    are asked for (model/model_utils/quantization.py: _get_quantization_dataset): it stops with an error, or quantizes
    by nothing.

    ## Bad
    ```yaml merge.yaml
    adapter_name_or_path:
    export_quantization_bit: 4
    export_quantization_dataset: texts.json
    ```
    ```json texts.json
    [{"content": "A text."}]
    ```

    ## Good
    ```yaml merge.yaml
    adapter_name_or_path:
    export_quantization_bit: 4
    export_quantization_dataset: texts.json
    ```
    ```json texts.json
    [{"text": "A text."}]
    ```

    ## Fix
    Name a file of rows with `text`, of the kind that the model is used for.
    """
    arguments = arguments_of(view)
    if not merges(view.settings) or not arguments.given("export_quantization_bit"):
        return
    for key in ("export_quantization_nsamples", "export_quantization_maxlen"):
        number = arguments.number(key)
        if number is not None and number < 1:
            yield in_yaml(view, key, arguments.shown(key), "1 or more", "write a number of 1 or more, or none")
    key = "export_quantization_dataset"
    name = arguments[key]
    if not isinstance(name, str) or not name:
        return  # missing-companion tells
    if not exists(name):
        if is_local(name) or name.rpartition(".")[2] in TEXT_FILES:
            yield in_yaml(view, key, f"{name} is not there", "a file of texts, or a dataset on the hub")
    elif Path(name).is_file():
        fault = text_fault(Path(name))
        if fault:
            yield in_yaml(view, key, f"{name}: {fault}", "a file of rows with `text`")


def text_fault(path: Path) -> str:
    """Why a file gives no texts, "" where it does, or where only `datasets` can tell (csv, arrow)."""
    ending = path.name.rpartition(".")[2]
    if ending not in TEXT_FILES:
        return f"the trainer reads no .{ending} file"
    if ending not in ("json", "jsonl", "parquet"):
        return ""
    try:
        first = next(iter_rows(path), None)
    except (UsageFault, OSError, UnicodeDecodeError) as fault:
        return fault.found if isinstance(fault, UsageFault) else str(fault)
    if first is None:
        return "no rows"
    return "" if isinstance(first.value, dict) and isinstance(first.value.get("text"), str) else "no text in row 0"


def adapter_of_another_base(view: RunView) -> Iterator[Found]:
    """An adapter that names another base.

    ## What it finds
    adapter_config.json whose base_model_name_or_path ends in another name than model_name_or_path.

    ## Why it matters
    LLaMA-Factory 0.9.5 does not compare them (model/adapter.py). Where names and shapes happen to fit, weights are
    added that were trained for other ones, and the result speaks nonsense, or is subtly worse.

    ## Bad
    ```yaml merge.yaml
    model_name_or_path: model
    ```
    ```json adapter/adapter_config.json
    {"base_model_name_or_path": "Qwen/Qwen2-VL-7B-Instruct"}
    ```

    ## Good
    ```yaml merge.yaml
    model_name_or_path: model
    ```
    ```json adapter/adapter_config.json
    {"base_model_name_or_path": "/home/me/model"}
    ```

    ## Fix
    Name the base that the adapter was trained on.
    """
    model = view.settings.model
    if view.settings.file is None or model is None:
        return
    for _, adapter in adapters_of(arguments_of(view)):
        if adapter.base and not adapter.names(model) and tail(adapter.base) != tail(model):
            yield in_yaml(view, "adapter_name_or_path", f"{adapter.folder} was trained on {adapter.base}", model)


def tail(name: str) -> str:
    """The last part of a path or hub name, in small letters; of a hub's cache, the name that it stands for."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    cached = [part.rpartition("--")[2] for part in parts if part.startswith("models--")]
    return (cached or parts or [""])[-1].lower()


def adapter_targets_missing(view: RunView) -> Iterator[Found]:
    """An adapter for modules that the base does not have.

    ## What it finds
    Weights of the adapter whose module (`layers.27.self_attn.q_proj`) no safetensors file of the base holds.

    ## Why it matters
    PEFT finds its target modules by their names' ends. What it does not find is left out with a warning in the log, or
    stops the merge: "Target modules … not found in the base model" (PEFT, tuners/tuners_utils.py). A merge without them
    gives back the base, or half of what was trained.

    ## Bad
    ```yaml merge.yaml
    model_name_or_path: model
    ```
    ```json adapter/adapter_model.safetensors
    {"base_model.model.model.layers.27.self_attn.q_proj.lora_A.weight": [8, 8]}
    ```

    ## Good
    ```yaml merge.yaml
    model_name_or_path: model
    ```
    ```json adapter/adapter_model.safetensors
    {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": [8, 8]}
    ```

    ## Fix
    Name the base that the adapter was trained on.
    """
    if view.settings.file is None or view.settings.model is None:
        return
    try:
        base = tensors_of(Path(view.settings.model))
        absent = {
            adapter.folder: adapter.absent_targets(base) for _, adapter in adapters_of(arguments_of(view)) if base
        }
    except (UsageFault, OSError):
        return  # unreadable-weights tells
    for folder, names in absent.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield in_yaml(
                view, "adapter_name_or_path", f"{names[0]}{more} of {folder}", f"a module of {view.settings.model}"
            )


def quantized_merge(view: RunView) -> Iterator[Found]:
    """An adapter merged into a quantized model, or quantized while it is merged.

    ## What it finds
    adapter_name_or_path with export_quantization_bit or quantization_bit in a merge yaml, or with a base that is
    quantized itself.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops: "Please merge adapters before quantizing the model.", or, after loading, "Cannot merge
    adapters to a quantized model." (train/tuner.py: export_model).

    ## Bad
    ```yaml merge.yaml
    export_quantization_bit: 4
    export_quantization_dataset: data/c4_demo.json
    ```

    ## Good
    ```yaml merge.yaml
    adapter_name_or_path:
    export_quantization_bit: 4
    export_quantization_dataset: allenai/c4
    ```

    ## Fix
    Merge into the base in its own precision first, and quantize the merged model in a second export.
    """
    arguments = arguments_of(view)
    if not merges(view.settings) or not arguments.given("adapter_name_or_path"):
        return
    if arguments.given("export_quantization_bit"):
        words = "Please merge adapters before quantizing the model."
        shown = arguments.shown("adapter_name_or_path", "export_quantization_bit")
        yield in_yaml(view, "export_quantization_bit", f'{shown}: "{words}"', "one of the two")
    words = "Cannot merge adapters to a quantized model."
    if arguments.given("quantization_bit"):
        shown = arguments.shown("adapter_name_or_path", "quantization_bit")
        yield in_yaml(view, "quantization_bit", f'{shown}: "{words}"', "no quantization_bit")
    elif view.settings.model is not None:
        quantized = model_config(view.settings.model).get("quantization_config")
        method = str(quantized.get("quant_method", "")) if isinstance(quantized, dict) else ""
        if method and method not in ("mxfp4", "fp8"):
            found = f'{view.settings.model} is quantized ({method}): "{words}"'
            yield in_yaml(view, "model_name_or_path", found, "the base in its own precision")


def export_over_source(view: RunView) -> Iterator[Found]:
    """A merged model written over what it is made of.

    ## What it finds
    export_dir that is the base's or the adapter's folder.

    ## Why it matters
    LLaMA-Factory 0.9.5 writes there without asking (train/tuner.py: export_model). The base is lost; an adapter's
    folder then holds a whole model beside adapter_config.json, and loading it adds the adapter a second time.

    ## Bad
    ```yaml merge.yaml
    export_dir: model
    ```

    ## Good
    ```yaml merge.yaml
    export_dir: merged
    ```

    ## Fix
    Give the merged model a folder of its own.
    """
    arguments = arguments_of(view)
    target = arguments["export_dir"]
    if view.settings.file is None or not isinstance(target, str):
        return
    sources = [("adapter_name_or_path", adapter.folder) for _, adapter in adapters_of(arguments)]
    if view.settings.model is not None:
        sources.append(("model_name_or_path", Path(view.settings.model)))
    for key, folder in sources:
        if folder.is_dir() and folder.resolve() == Path(target).resolve():
            yield in_yaml(view, "export_dir", f"export_dir {target} is {key}", "a folder of its own")


def merge_with_another_template(view: RunView) -> Iterator[Found]:
    """A merge with another template than the training.

    ## What it finds
    `template` of the merge yaml that is not the one in the record of the run (run.json beside the adapter).

    ## Why it matters
    LLaMA-Factory 0.9.5 sets end and stop tokens, and for some templates the chat template, in the tokenizer that it
    saves (data/template.py: fix_special_tokens, fix_jinja_template). Who uses the merged model then speaks to it in a
    form that it was not trained on.

    ## Bad
    ```yaml merge.yaml
    template: qwen2_vl
    ```
    ```json adapter/run.json
    {"settings": {"values": {"template": "minicpm_v"}}}
    ```

    ## Good
    ```yaml merge.yaml
    template: qwen2_vl
    ```
    ```json adapter/run.json
    {"settings": {"values": {"template": "qwen2_vl"}}}
    ```

    ## Fix
    Name the template of the training.
    """
    if not merges(view.settings) or view.settings.template is None:
        return
    for _, adapter in adapters_of(arguments_of(view)):
        settings = mapping(read_config(adapter.folder / RECORD).get("settings"))
        trained = mapping(settings.get("values")).get("template")
        if isinstance(trained, str) and trained != view.settings.template:
            yield in_yaml(view, "template", f"template: {view.settings.template}; trained with {trained}", trained)


def export_dir_not_empty(view: RunView) -> Iterator[Found]:
    """A merge into a folder that holds a model.

    ## What it finds
    export_dir with weights in it.

    ## Why it matters
    LLaMA-Factory 0.9.5 writes over them without asking; files that the new model does not have stay beside it
    (transformers 5.6.0, modeling_utils.py: save_pretrained removes old shards only).

    ## Bad
    ```yaml merge.yaml
    export_dir: merged
    ```
    ```json merged/model.safetensors
    {}
    ```

    ## Good
    ```yaml merge.yaml
    export_dir: merged-2
    ```
    ```json merged/model.safetensors
    {}
    ```

    ## Fix
    Name a new folder, or empty this one.
    """
    target = view.settings.raw.get("export_dir")
    if view.settings.file is None or not isinstance(target, str) or any(export_over_source(view)):
        return
    held = sorted(path.name for pattern in ("*.safetensors", "*.bin") for path in Path(target).glob(pattern))
    if held:
        yield in_yaml(view, "export_dir", f"{target} holds {held[0]}", "an empty folder")


def ignored_export_setting(view: RunView) -> Iterator[Found]:
    """A setting of the export that has no effect.

    ## What it finds
    export_legacy_format: true with transformers 5 or later; quantization settings without export_quantization_bit.

    ## Why it matters
    LLaMA-Factory 0.9.5 passes export_legacy_format on before transformers 5 only, and writes safetensors from then on
    (train/tuner.py: export_model). The other settings are read only where a number of bits is given.

    ## Bad
    ```yaml merge.yaml
    export_quantization_dataset: data/c4_demo.json
    ```

    ## Good
    ```yaml merge.yaml
    export_size: 2
    ```

    ## Fix
    Remove the key.
    """
    raw = view.settings.raw
    if not merges(view.settings):
        return
    trainer = view.settings.trainer
    if raw.get("export_legacy_format") is True and trainer.has("safetensors-alone"):
        found = f"export_legacy_format: true with transformers {trainer.transformers}"
        yield in_yaml(view, "export_legacy_format", found, "safetensors, which is written anyhow")
    if raw.get("export_quantization_bit") is None:
        for key in raw:
            if key.startswith("export_quantization_") and key != "export_quantization_bit":
                yield in_yaml(view, key, f"{key} without export_quantization_bit", "both, or none")
