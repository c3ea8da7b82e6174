"""A real merge of two adapters into a base with more files than the trainer saves, and what is said where it fails."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from safetensors.torch import load_file, save_file

from tests.train.conftest import Workshop
from train.export.answer import needs_own_code, verify_answer
from train.export.files import restore
from train.export.merge import Merge, check_merge
from train.export.prove import verify_merge
from train.export.vllm import verify_vllm
from train.verify import Proof
from validators.replay.adapter_base import find_folder
from validators.replay.arguments import Arguments
from validators.rules.export import text_fault
from validators.settings import read_yaml

pytestmark = pytest.mark.trainer
LEGACY, LATER = "preprocessor_config.json", "processor_config.json"


def by_name(proofs: list[Proof]) -> dict[str, Proof]:
    return {proof.what: proof for proof in proofs}


@pytest.fixture(scope="module")
def chained(workshop: Workshop, lora: str) -> tuple[str, Path]:
    """What the merge of a chain said, and its folder. Shards of no size: each tensor has its own."""
    import torch

    shutil.copytree(workshop.folder / "build/tiny-qwen2vl", workshop.folder / "chain/base")
    # as published models name it; the tiny one's class of transformers 4.57 hands the name on to text_config
    config = workshop.folder / "chain/base/config.json"
    named = {"architectures": ["Qwen2VLForConditionalGeneration"]}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    # each version of transformers saves one of the two
    for name, text in (
        (LEGACY, {"image_processor_type": "Qwen2VLImageProcessor"}),
        (LATER, {"processor_class": "Qwen2VLProcessor"}),
    ):
        if not (workshop.folder / "chain/base" / name).exists():
            (workshop.folder / "chain/base" / name).write_text(json.dumps(text))
    for name in ("first", "second"):
        folder = workshop.folder / "chain" / name
        shutil.copytree(workshop.folder / "runs/tiny-lora", folder, ignore=shutil.ignore_patterns("checkpoint-*"))
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "chain/base"}))
    torch.manual_seed(3)
    file = workshop.folder / "chain/second/adapter_model.safetensors"
    save_file({name: torch.randn_like(value) * 0.05 for name, value in load_file(file).items()}, file, {"format": "pt"})
    settings = read_yaml(workshop.folder / "train/recipes/tiny_merge.yaml") | {
        "model_name_or_path": "chain/base",
        "adapter_name_or_path": "chain/first, chain/second",
        "export_dir": "chain/out",
        "export_size": 0,
    }
    (workshop.folder / "chain.yaml").write_text(yaml.safe_dump(settings))
    return workshop.curate("export", "chain.yaml", "--vllm"), workshop.folder / "chain"


def test_a_chain_is_proven_in_many_shards(chained: tuple[str, Path]) -> None:
    said, folder = chained
    verified = said.partition("verified:\n")[2]
    assert "base + first + second: 4 tensors" in verified
    assert "(58 of at most 0 GB or one tensor)" in verified
    assert "4 tokens to a picture, finite" in verified
    assert "vLLM knows the architecture: chain/out (Qwen2VLForConditionalGeneration: vLLM at" in verified
    assert "ok    vLLM knows the tensors' names" in verified
    assert "ok    transformers 4 finds the image processor" in verified
    assert "FAIL" not in verified and "open" not in verified
    assert json.loads((folder / "out/merge_proof.json").read_text())["adapters"] == ["chain/first", "chain/second"]


def test_what_the_trainer_did_not_save_comes_from_the_base(chained: tuple[str, Path]) -> None:
    said, folder = chained
    (copied,) = re.findall(r"restored from the base: chain/out \((\w+\.json)\)", said)
    assert copied in (LEGACY, LATER)
    assert (folder / "out" / copied).read_bytes() == (folder / "base" / copied).read_bytes()
    assert (folder / "out/tokenizer_config.json").read_bytes() != (folder / "base/tokenizer_config.json").read_bytes()


def test_one_adapter_of_the_chain_is_not_enough(
    chained: tuple[str, Path], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.folder)
    for kept in (("chain/first",), ("chain/second",)):
        merge = Merge(
            Path("chain.yaml"), "chain/base", tuple(map(Path, kept)), Path("chain/out"), Arguments({"export_size": 0})
        )
        found = by_name(verify_merge(merge))
        assert not found["targeted tensors are the base's with all changes"].passed, kept


def small(tmp_path: Path, **settings: object) -> Merge:
    """A merge of folders that hold names alone."""
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (base / name).write_text("{}")
        (out / name).write_text("{}")
    return Merge(tmp_path / "merge.yaml", str(base), (), out, Arguments(settings))


def test_code_templates_and_processors_are_restored(tmp_path: Path) -> None:
    merge = small(tmp_path, export_hub_model_id="me/merged")
    base, out = Path(merge.base), merge.out
    declared = {"auto_map": {"AutoModel": "modeling_own.Own", "AutoConfig": "configuration_own.OwnConfig"}}
    for folder in (base, out):
        (folder / "config.json").write_text(json.dumps(declared))
    for name in ("modeling_own.py", "configuration_own.py", "helper.py", "chat_template.json", LEGACY):
        (base / name).write_text(f"# {name}")
    (out / "helper.py").write_text("# of another merge")
    first = by_name(restore(merge))
    assert first["files of the base"].passed
    assert first["restored from the base"].detail == (
        f"{LEGACY}, chat_template.json, configuration_own.py, modeling_own.py, helper.py; "
        f"me/merged was uploaded without them: `hf upload me/merged {out}`"
    )
    assert (out / "helper.py").read_text() == "# helper.py", "code is the base's"
    assert list(by_name(restore(merge))) == ["files of the base"], "a second time there is nothing to do"
    (base / "modeling_own.py").unlink()
    (out / "modeling_own.py").unlink()
    assert by_name(restore(merge))["files of the base"].detail == "missing modeling_own.py"
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert needs_own_code(out) == "a model without a type"
    told = verify_answer(merge)
    assert all(proof.open and "trust_remote_code: true" in proof.detail for proof in told), "its own code is not run"


def test_a_tokenizer_is_restored_only_where_the_vocabulary_is_the_base_s(tmp_path: Path) -> None:
    merge = small(tmp_path, resize_vocab=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (merge.out / name).unlink()
    told = by_name(restore(merge))["files of the base"]
    assert not told.passed and "tokenizer.json (the yaml adds tokens to it)" in told.detail
    plain = Merge(merge.file, merge.base, (), merge.out, Arguments({}))
    assert by_name(restore(plain))["restored from the base"].detail == "tokenizer.json, tokenizer_config.json"


def test_a_link_out_of_the_base_is_not_followed(tmp_path: Path) -> None:
    merge = small(tmp_path)
    (tmp_path / "secret.json").write_text("{}")
    (Path(merge.base) / LEGACY).symlink_to(tmp_path / "secret.json")
    assert "a link out of" in by_name(restore(merge))["files of the base"].detail
    assert not (merge.out / LEGACY).exists()


def cache(root: Path, name: str, source: Path) -> Path:
    """A model's folder as huggingface_hub keeps it: links to blobs under a snapshot."""
    repository = root / f"models--{name.replace('/', '--')}"
    commit = "0" * 40
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    for path in source.iterdir():
        shutil.copy(path, repository / "blobs" / path.name)
        (snapshot / path.name).symlink_to(repository / "blobs" / path.name)
    return snapshot


def test_a_base_on_a_hub_is_proven_from_the_cache_or_left_open(
    chained: tuple[str, Path], workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.folder)
    settings = Arguments({"cache_dir": str(tmp_path), "export_size": 0})
    adapters = (Path("chain/first"), Path("chain/second"))
    merge = Merge(Path("chain.yaml"), "me/base", adapters, Path("chain/out"), settings)
    told = [*check_merge(merge), *restore(merge), *verify_merge(merge)]
    assert [proof.what for proof in told if proof.open] == [
        "adapter belongs to the base",
        "adapter belongs to the base",
        "files of the base",
        "tensors equal the base's",
    ]
    assert all(proof.passed for proof in told)
    snapshot = cache(tmp_path, "me/base", Path("chain/base"))
    assert merge.base_folder == snapshot
    told = [*restore(merge), *verify_merge(merge)]
    assert all(proof.passed and not proof.open for proof in told)
    monkeypatch.setenv("USE_MODELSCOPE_HUB", "1")
    assert find_folder("me/base", settings) is None


def test_an_upload_without_a_token_is_refused_before_the_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merge = small(tmp_path, export_hub_model_id="me/merged")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    (told,) = check_merge(merge)
    assert not told.passed and "no token" in told.detail
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "a token")
    (told,) = check_merge(merge)
    assert told.open
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (told,) = check_merge(merge)
    assert not told.passed and "HF_HUB_OFFLINE" in told.detail


def test_a_quantized_export_is_held_to_its_bits(tmp_path: Path) -> None:
    import torch

    merge = small(tmp_path, export_quantization_bit=4)
    save_file({"x": torch.zeros(2, dtype=torch.int32)}, merge.out / "model.safetensors")
    (merge.out / "config.json").write_text('{"quantization_config": {"bits": 8, "quant_method": "gptq"}}')
    found = by_name(verify_merge(merge))
    assert found["quantized as asked"].detail == "8 bits, asked for 4" and not found["quantized as asked"].passed
    (merge.out / "config.json").write_text('{"quantization_config": {"bits": 4, "quant_method": "gptq"}}')
    found = by_name(verify_merge(merge))
    assert found["quantized as asked"].passed and found["tensors"].open


def test_names_that_vllm_does_not_know_do_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    merge = small(tmp_path)
    # no rule of the Qwen3-VL mapper takes a bare model.layers
    for model, passes in (("Qwen2VL", True), ("Qwen3VL", False)):
        (merge.out / "config.json").write_text(json.dumps({"architectures": [f"{model}ForConditionalGeneration"]}))
        save_file({"model.layers.0.x": torch.zeros(1)}, merge.out / "model.safetensors")
        found = by_name(verify_vllm(merge))
        assert found["vLLM knows the architecture"].passed and not found["vLLM knows the architecture"].open
        assert found["vLLM knows the tensors' names"].passed is passes
    (merge.out / "config.json").write_text('{"architectures": ["Unheard"]}')
    found = by_name(verify_vllm(merge))
    assert found["vLLM knows the architecture"].open and found["vLLM knows the tensors' names"].open
    (merge.out / "processor_config.json").write_text("{}")
    assert by_name(verify_vllm(merge))["transformers 4 finds the image processor"].open
    monkeypatch.setattr("train.export.vllm.installed.version_of", lambda name: "9")
    told = by_name(verify_vllm(merge))["vLLM knows the architecture"]
    assert told.open and "vllm 9 does not start" in told.detail and "vllm" in told.detail
    (merge.out / "config.json").write_text("{}")
    assert not by_name(verify_vllm(merge))["vLLM knows the architecture"].passed


def test_texts_to_quantize_by_are_judged_as_the_trainer_reads_them(tmp_path: Path) -> None:
    import torch
    from llamafactory.model.model_utils.quantization import _get_quantization_dataset

    def real(samples: int = 2) -> int | str:
        asked = SimpleNamespace(
            export_quantization_dataset=str(file),
            export_quantization_nsamples=samples,
            export_quantization_maxlen=3,
            cache_dir=str(tmp_path / "cache"),
            hf_hub_token=None,
        )

        def tokenizer(text: str, return_tensors: str) -> dict[str, torch.Tensor]:
            return dict.fromkeys(("input_ids", "attention_mask"), torch.ones(1, len(text), dtype=torch.int64))

        try:
            return len(_get_quantization_dataset(tokenizer, asked))
        except Exception as error:
            return type(error).__name__

    for name, text, answer in (
        ("a.json", '[{"text": "long enough"}]', 2),
        ("b.jsonl", '{"content": "long enough"}', "KeyError"),
        ("c.md", "long enough", "TypeError"),
    ):
        file = tmp_path / name
        file.write_text(text)
        assert (real() == 2) is (text_fault(file) == ""), (name, real())
        assert real() == answer
    file = tmp_path / "a.json"
    assert real(samples=0) == 0, "nothing to quantize by, and no word of it"
