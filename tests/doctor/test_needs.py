from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from curate.doctor.checks import trainer_bounds
from curate.doctor.environment import Environment, Package, read_packages, take_snapshot
from curate.doctor.gpu import Driver, Gpu
from curate.doctor.needs import NEEDS, Run, read_run
from tests.doctor.scaffold import SOUND, drop, put, said
from validators.errors import UsageFault
from validators.findings import Severity
from validators.replay.requirements import DEMANDS, LOGGERS, QUANTIZERS

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
BARE = replace(SOUND, driver=Driver())
TURING = replace(SOUND, driver=Driver("580.65", (13, 0), (Gpu("Tesla T4", (7, 5), 16 * 2**30),)))
TWO = replace(SOUND, driver=replace(SOUND.driver, gpus=SOUND.driver.gpus * 2))
OFFLOAD = {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}
# the yaml's keys (and DeepSpeed file), the environment → the one need that is not met, how bad, words of what was found
CASES: dict[str, tuple[Environment, dict[str, object], object, str, Severity, str]] = {
    "liger": (SOUND, {"enable_liger_kernel": True}, None, "demanded-packages", E, "liger-kernel is not installed"),
    "unsloth": (SOUND, {"use_unsloth": True}, None, "demanded-packages", E, "unsloth"),
    "badam's version": (
        put(SOUND, Package("badam", "1.1.0")), {"use_badam": True}, None, "demanded-packages", E, "badam is 1.1.0",
    ),
    "deepspeed": (
        drop(TWO, "deepspeed"), {"deepspeed": "z2.json"}, {}, "demanded-packages", E, "deepspeed is not installed",
    ),
    "4 bit": (SOUND, {"quantization_bit": 4}, None, "demanded-packages", E, "bitsandbytes"),
    "hqq": (SOUND, {"quantization_bit": 4, "quantization_method": "hqq"}, None, "demanded-packages", E, "hqq"),
    "8-bit optimizer": (SOUND, {"optim": "paged_adamw_8bit"}, None, "demanded-packages", E, "bitsandbytes"),
    "wandb": (SOUND, {"report_to": ["none", "wandb"]}, None, "reporters", E, "wandb is not installed"),
    "bf16": (BARE, {"bf16": True}, None, "half-precision", E, "no GPU here"),
    "fp16 on a CPU": (BARE, {"fp16": True, "use_cpu": True}, None, "half-precision", E, "no GPU here"),
    "bf16 emulated": (TURING, {"bf16": True}, None, "half-precision", W, "7.5"),
    "fa2": (SOUND, {"flash_attn": "fa2"}, None, "flash-attention", W, "flash-attn is not installed"),
    "old flash-attn": (
        put(SOUND, Package("flash-attn", "2.1.0")), {"flash_attn": "fa2"}, None, "flash-attention", W, "2.1.0",
    ),
    "fa2 without a GPU": (
        put(BARE, Package("flash-attn", "2.8.3")), {"flash_attn": "fa2"}, None, "flash-attention", W, "no GPU",
    ),
    "no file": (TWO, {"deepspeed": "nowhere.json"}, None, "deepspeed-file", E, "no such file"),
    "one device": (SOUND, {"deepspeed": "z2.json"}, {}, "deepspeed-launch", N, "FORCE_TORCHRUN not set"),
    "images": (drop(SOUND, "pillow"), {"template": "qwen2_vl"}, None, "template-modalities", E, "pillow"),
    "MiniCPM's code": (
        put(SOUND, Package("transformers", "5.6.0")),
        {"model_name_or_path": "openbmb/MiniCPM-V-4_5", "template": "minicpm_v"}, None, "model-support", E, "5.6.0",
    ),
    "MiniCPM's code, near": (
        put(SOUND, Package("transformers", "5.5.0")),
        {"model_name_or_path": "openbmb/MiniCPM-V-4_5", "template": "minicpm_v"}, None, "model-support", W, "5.5.0",
    ),
    "a model that nobody ran": (
        SOUND, {"model_name_or_path": "openbmb/MiniCPM-V-4", "template": "minicpm_v"}, None, "model-support", N, "4_0",
    ),
    "fa2 that breaks": (
        put(put(SOUND, Package("flash-attn", "2.8.3")), Package("transformers", "5.6.0")), {"flash_attn": "fa2"}, None,
        "flash-attention", E, "5.6.0",
    ),
    "fa2 that would break": (
        put(SOUND, Package("transformers", "5.6.0")), {"flash_attn": "fa2"}, None, "flash-attention", W, "5.6.0",
    ),
    "small /dev/shm": (
        replace(SOUND, shared_memory=64 * 2**20), {"dataloader_num_workers": 4}, None, "shared-memory", W, "64 MiB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_need_is_named_alone(name: str) -> None:
    """One thing that a run lacks in a sound environment is said once, and the file with it."""
    environment, keys, contents, need, severity, words = CASES[name]
    found = said(environment, Run("x.yaml", keys, contents if isinstance(contents, dict) else None))
    assert set(found) == {need}
    assert found[need].severity is severity and words in found[need].found and "x.yaml" in found[need].found
    assert found[need].cure and found[need].reason and found[need].evidence


def test_needs_that_come_with_another_fault() -> None:
    """Offload without a compiler breaks the run, and a template that hears needs torchcodec."""
    found = said(replace(TWO, tools={}), Run("x.yaml", {"deepspeed": "z2.json"}, OFFLOAD))
    assert found["deepspeed-offload"].severity is E and found["deepspeed-without-compiler"].severity is W
    found = said(drop(SOUND, "torchcodec"), Run("x.yaml", {"template": "qwen2_audio"}))
    assert found["template-modalities"].severity is E
    assert "template-modalities" not in said(drop(SOUND, "torchcodec"), Run("x.yaml", {"template": "qwen2_vl"}))
    assert {need.name for need in NEEDS} == {case[3] for case in CASES.values()} | {"deepspeed-offload"}


def test_a_run_that_asks_for_nothing_needs_nothing() -> None:
    """Keys that are off, and what the machine has, are not spoken of."""
    keys = {"bf16": True, "flash_attn": "auto", "use_unsloth": False, "report_to": "none", "plot_loss": True}
    assert said(SOUND, Run("x.yaml", keys)) == {}
    assert said(BARE, Run("x.yaml", {"bf16": True, "use_cpu": True})) == {}


def test_demands_are_those_of_the_installed_trainer() -> None:
    """Keys and requirements are the ones in the installed hparams/parser.py, quantization.py and transformers."""
    room = Path(str(distribution("llamafactory").locate_file("llamafactory")))
    tree = ast.parse((room / "hparams" / "parser.py").read_text())
    function = next(n for n in ast.walk(tree) if getattr(n, "name", "") == "_check_extra_dependencies")
    demands: dict[str, set[str]] = {}
    for node in ast.walk(function):
        # vLLM and SGLang are for inference: a train run with them is refused anyhow
        if isinstance(node, ast.If) and isinstance(node.test, ast.Attribute | ast.Compare):
            test = node.test.left if isinstance(node.test, ast.Compare) else node.test
            for call in node.body:
                if isinstance(test, ast.Attribute) and test.attr != "infer_backend" and isinstance(call, ast.Expr):
                    demands.setdefault(test.attr, set()).add(ast.literal_eval(call.value.args[0]))
    assert demands == {key: set(names) for key, names in DEMANDS.items()}
    quantization = (room / "model" / "model_utils" / "quantization.py").read_text()
    assert all(f'check_version("{text}", mandatory=True)' in quantization for text in QUANTIZERS.values())
    integrations = room.parent / "transformers" / "integrations" / "integration_utils.py"
    assert all(f'    "{name}": ' in integrations.read_text() for name in LOGGERS)


@pytest.mark.trainer
def test_half_precision_is_judged_as_the_trainer_judges(tmp_path: Path) -> None:
    """On this machine, what is called broken is what TrainingArguments refuses."""
    environment = take_snapshot()
    cases: list[dict[str, object]] = [{"bf16": True}, {"bf16": True, "use_cpu": True}, {}, {"use_cpu": True}]
    code = (
        "import json, sys\nfrom transformers import TrainingArguments\nout = []\n"
        "for keys in json.loads(sys.argv[1]):\n"
        "    try:\n        TrainingArguments(output_dir=sys.argv[2], **keys)\n        out.append(False)\n"
        "    except ValueError:\n        out.append(True)\nprint(json.dumps(out))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases), str(tmp_path)], capture_output=True, text=True, check=True
    )
    refused = json.loads(done.stdout.splitlines()[-1])
    assert [said(environment, Run("x", keys)).get("half-precision") is not None for keys in cases] == refused


@pytest.mark.trainer
def test_bounds_are_judged_as_the_trainer_judges(tmp_path: Path) -> None:
    """For each version and setting, an error here is a stop of the real check_dependencies, and nothing else is."""
    versions = ["0.24.0", "0.24.1", "0.24.0.post1", "0.24.0+cu130", "0.24.0rc1", "0.25.0.dev0", "0.18", "0.17.9"]
    settings = ["", "0", "1", "True", "Y", "yes"]
    for number in versions:
        folder = tmp_path / number / f"trl-{number}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: trl\nVersion: {number}\n")
    code = (
        "import json, os, sys\nfrom llamafactory.extras.misc import check_dependencies\nout = []\n"
        "for folder in sys.argv[2:]:\n"
        "    sys.path.insert(0, folder)\n"
        "    for value in json.loads(sys.argv[1]):\n"
        "        os.environ['DISABLE_VERSION_CHECK'] = value\n"
        "        try:\n            check_dependencies()\n            out.append(False)\n"
        "        except ImportError:\n            out.append(True)\n"
        "    del sys.path[0]\nprint(json.dumps(out))"
    )
    folders = [str(tmp_path / number) for number in versions]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(settings), *folders], capture_output=True, text=True, check=True
    )
    stopped = json.loads(done.stdout.splitlines()[-1])
    mine = [
        any(item.severity is E for item in trainer_bounds(replace(seen, variables={"DISABLE_VERSION_CHECK": value})))
        for seen in (replace(take_snapshot(), packages=read_packages([folder, *sys.path])) for folder in folders)
        for value in settings
    ]
    assert True in stopped and False in stopped
    assert mine == stopped


def test_a_yaml_is_read_with_its_deepspeed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named file is read from the working folder; what is no JSON object is no file to go by."""
    monkeypatch.chdir(tmp_path)
    Path("z.json").write_text(json.dumps(OFFLOAD))
    Path("a.yaml").write_text("deepspeed: z.json\n")
    assert read_run(Path("a.yaml")).deepspeed == OFFLOAD
    for text in ("[]", "{", "[" * 100_000):
        Path("z.json").write_text(text)
        run = read_run(Path("a.yaml"))
        assert run.deepspeed is None and "no JSON object" in said(TWO, run)["deepspeed-file"].found
    with pytest.raises(UsageFault):
        read_run(Path("none.yaml"))
