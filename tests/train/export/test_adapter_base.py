"""An adapter and a base: `curate check` and `curate export` give one answer, whatever either is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random

import pytest
import yaml

from tests.scaffold import LAYER, Overlay, safetensors
from train.export.merge import check_merge, read_merge
from validators.engine import check
from validators.replay.adapter import Adapter
from validators.replay.adapter_base import Match, base_fingerprint, judge_base
from validators.replay.arguments import Arguments
from validators.settings import read_yaml

Project = Callable[[Overlay], Path]
NAMES = (
    "model", "./model", "model/", "HERE/model", "HERE/link", "link", "/elsewhere/model", "/elsewhere/renamed",
    "org/model", "org/other", "C:\\models\\model", "C:\\models\\other", "models--org--model/snapshots/0f", "",
)  # fmt: skip
"""What adapter_config.json may call the base of the training."""
MODELS = ("model", "model/", "HERE/model", "link", "me/cached", "me/nowhere")
"""What the merge yaml may call its base."""
BASES = ("same", "other weights", "other config", "other shape", "lacks the module", "not readable")
RECORDS = ("absent", "broken", "own", "of another run", "without hashes")
WEIGHT = f"{LAYER}.weight"
FACTORS = {f"base_model.model.{LAYER}.lora_{part}.weight": shape for part, shape in (("A", [4, 8]), ("B", [6, 4]))}


def lay_out(name: str, model: str, base: str, record: str, adapters: int = 1) -> Path:
    """A merge yaml in the working folder, with its base and adapters."""
    here = str(Path.cwd())
    name, model = name.replace("HERE", here), model.replace("HERE", here)
    folder = Path("model")
    write_base(folder, {WEIGHT: [6, 8]}, b"\0")
    files = base_fingerprint(folder)
    for number in range(adapters):
        write_adapter(Path(f"adapter{number}"), name, record, files)
    if base == "other weights":
        write_base(folder, {WEIGHT: [6, 8]}, b"\1")
    elif base == "other config":
        (folder / "config.json").write_text('{"model_type": "qwen2_vl", "rope_theta": 7}')
    elif base == "other shape":
        write_base(folder, {WEIGHT: [6, 9]}, b"\0")
    elif base == "lacks the module":
        write_base(folder, {WEIGHT.replace("layers.0", "layers.9"): [6, 8]}, b"\0")
    elif base == "not readable":
        (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    if not Path("link").exists():
        Path("link").symlink_to(folder)
    cached = Path("hub/models--me--cached")
    shutil.rmtree(cached, ignore_errors=True)
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text("0f")
    shutil.copytree(folder, cached / "snapshots/0f")
    yaml_file = Path("merge.yaml")
    settings = {
        "model_name_or_path": model,
        "adapter_name_or_path": ",".join(f"adapter{number}" for number in range(adapters)),
        "template": "qwen2_vl",
        "export_dir": "merged",
        "cache_dir": "hub",
    }
    yaml_file.write_text(yaml.safe_dump(settings))
    return yaml_file


def write_base(folder: Path, shapes: dict[str, list[int]], fill: bytes) -> None:
    """A base whose numbers are all of these bytes."""
    content = safetensors(json.dumps(shapes))
    length = 8 + int.from_bytes(content[:8], "little")
    (folder / "model.safetensors").write_bytes(content[:length] + fill * (len(content) - length))
    (folder / "config.json").write_text('{"model_type": "qwen2_vl"}')


def write_adapter(folder: Path, name: str, record: str, files: dict[str, str]) -> None:
    """An adapter trained on a base of this name and these hashes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": name}))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(json.dumps(FACTORS)))
    other = dict.fromkeys(files, "0" * 64)
    texts = {
        "broken": "{",
        "own": json.dumps({"format": 1, "base": {"path": name, "files": files}}),
        "of another run": json.dumps({"format": 1, "base": {"path": "/a/base/of/its/own", "files": other}}),
        "without hashes": json.dumps({"format": 1, "base": {"path": name, "files": {}}}),
    }
    if record in texts:
        (folder / "run.json").write_text(texts[record])


@pytest.mark.parametrize("model", MODELS)
def test_check_and_export_give_one_answer(model: str, project: Project) -> None:
    project({"merge.yaml": ""})
    cases = list(product(NAMES, BASES, RECORDS))
    for name, base, record in Random(model).sample(cases, 60):
        file = lay_out(name, model, base, record)
        case = (name, base, record)
        codes = {finding.code for finding in check(file).findings} & {"EXP101", "EXP201", "EXP202"}
        if base == "not readable":
            assert model in ("me/cached", "me/nowhere") or codes == {"EXP101"}, case
            continue
        (proof,) = check_merge(read_merge(file, read_yaml(file)))
        assert ("EXP202" in codes) is not proof.passed, case
        nowhere = model == "me/nowhere"
        assert ("EXP201" in codes) is (proof.open and not nowhere), case
        if nowhere:
            assert proof.passed and proof.open, case
            continue
        assert proof.passed is (base not in ("other shape", "lacks the module")), (case, proof.detail)
        if not proof.passed:
            assert LAYER in proof.detail, "the tensor is named"
        elif record == "own":
            # the hashes decide, whatever the name is
            assert proof.open is (base != "same"), (case, proof.detail)
            assert (proof.detail == "by hash") is (base == "same"), case


def test_each_adapter_of_a_chain_is_judged(project: Project) -> None:
    project({"merge.yaml": ""})
    for base, passed in (("same", True), ("other weights", True), ("other shape", False)):
        file = lay_out("model", "model", base, "own", adapters=2)
        proofs = check_merge(read_merge(file, read_yaml(file)))
        assert [proof.passed for proof in proofs] == [passed] * 2
        found = [finding for finding in check(file).findings if finding.code in ("EXP201", "EXP202")]
        assert len(found) == (0 if base == "same" else 2)


def test_a_checkpoint_has_its_run_s_record(project: Project) -> None:
    project({"merge.yaml": ""})
    lay_out("/elsewhere/renamed", "model", "same", "own")
    inner = Path("adapter0/checkpoint-6")
    inner.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.move(Path("adapter0") / name, inner / name)
    assert judge_base(Adapter(inner), "model", Arguments({})).match is Match.SAME


def test_weights_are_known_under_other_file_names(project: Project) -> None:
    project({"merge.yaml": ""})
    lay_out("/elsewhere/renamed", "model", "same", "own")
    Path("model/model.safetensors").rename("model/model-00001-of-00001.safetensors")
    assert judge_base(Adapter(Path("adapter0")), "model", Arguments({})).match is Match.SAME


@pytest.mark.parametrize(
    ("weight", "factors", "config", "fits"),
    [
        ([6, 8], {"lora_A.weight": [4, 8], "lora_B.weight": [6, 4]}, {}, True),
        ([6, 8], {"lora_A.weight": [4, 6], "lora_B.weight": [8, 4]}, {}, False),
        ([6, 8], {"lora_A.weight": [4, 6], "lora_B.weight": [8, 4]}, {"fan_in_fan_out": True}, True),
        ([6, 8], {"lora_A.weight": [4, 9]}, {}, False),
        ([6, 8], {"lora_B.weight": [7, 4]}, {}, False),
        ([6, 8], {"lora_embedding_A": [4, 6], "lora_embedding_B": [8, 4]}, {}, True),
        ([6, 8], {"modules_to_save.weight": [6, 8]}, {}, True),
        ([6, 8], {"modules_to_save.weight": [5, 8]}, {}, False),
        ([6, 8, 3, 3], {"lora_A.weight": [4, 8, 3, 3], "lora_B.weight": [6, 4, 1, 1]}, {}, True),
        ([6, 8, 3, 3], {"lora_A.weight": [4, 7, 3, 3], "lora_B.weight": [6, 4, 1, 1]}, {}, False),
    ],
)
def test_shapes_are_held_as_peft_loads_them(
    weight: list[int], factors: dict[str, list[int]], config: dict[str, bool], fits: bool, project: Project
) -> None:
    project({"merge.yaml": ""})
    write_base(Path("model"), {WEIGHT: weight}, b"\0")
    named = {f"base_model.model.{LAYER}.{part}": shape for part, shape in factors.items()}
    write_adapter(Path("adapter0"), "model", "absent", {})
    Path("adapter0/adapter_model.safetensors").write_bytes(safetensors(json.dumps(named)))
    Path("adapter0/adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "model"}))
    found = judge_base(Adapter(Path("adapter0")), "model", Arguments({})).match
    assert found is (Match.FITS if fits else Match.UNFIT)


def test_packed_weights_and_added_rows_are_not_misfits(project: Project) -> None:
    project({"merge.yaml": ""})
    lay_out("model", "model", "other shape", "absent")
    Path("model/config.json").write_text('{"quantization_config": {"quant_method": "fp8"}}')
    assert judge_base(Adapter(Path("adapter0")), "model", Arguments({})).match is Match.FITS
    name = "model.embed_tokens"
    write_base(Path("model"), {f"{name}.weight": [100, 8]}, b"\0")
    for rows, columns, match in ((101, 8, Match.FITS), (100, 9, Match.UNFIT)):
        shapes = {f"base_model.model.{name}.weight": [rows, columns]}
        Path("adapter0/adapter_model.safetensors").write_bytes(safetensors(json.dumps(shapes)))
        assert judge_base(Adapter(Path("adapter0")), "model", Arguments({})).match is match
