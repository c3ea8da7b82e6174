"""What is refused before any training, and how fast: torch is never imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from curate.cli import main
from tests.scaffold import Overlay
from train import trainer
from train.export.merge import read_merge
from validators.errors import UsageFault
from validators.settings import FORK_KEYS

Project = Callable[[Overlay], Path]
NO_ANSWER = json.dumps([{"messages": [{"role": "user", "content": "Hi"}]}])
# a None in sys.modules makes each import of that name fail
WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "llamafactory", "deepspeed"):
    sys.modules[name] = None
from curate.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("key", FORK_KEYS)
@pytest.mark.parametrize("command", ["train", "export"])
def test_keys_of_the_fork_are_refused_before_torch(key: str, command: str, project: Project) -> None:
    path = project({"train.yaml": f"{key}: true\n"})
    if command == "export":
        path.write_text(f"model_name_or_path: model\nadapter_name_or_path: a\nexport_dir: e\n{key}: true\n")
    done = without_torch(command, str(path))
    assert done.returncode == 2, done.stdout + done.stderr
    assert key in done.stderr and "dev-nhb" in done.stderr and "0.9.5" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_names_the_fork_s_keys_too(project: Project) -> None:
    done = without_torch("check", str(project({"train.yaml": "enable_high_fps: true\n"})))
    assert done.returncode == 1 and "enable_high_fps" in done.stdout and "dev-nhb" in done.stdout


def test_a_trainer_that_knows_the_keys_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "accepted_keys", lambda: frozenset(FORK_KEYS))
    trainer.refuse_fork_keys("x.yaml", dict.fromkeys(FORK_KEYS, 1))


def test_the_installed_trainer_s_keys_are_read_from_its_source() -> None:
    keys = trainer.accepted_keys()
    assert {"cutoff_len", "template", "freeze_vision_tower", "lora_rank"} <= keys
    assert keys.isdisjoint(FORK_KEYS)


def test_errors_of_the_check_stop_the_training(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project({"data.json": NO_ANSWER})
    done = without_torch("train", str(path))
    assert done.returncode == 1 and "TRN202" in done.stdout and "not trained: " in done.stdout
    assert "--force" in done.stdout and not Path("out").exists()


def test_what_the_configuration_ignores_stops_no_training(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trainer, "run", lambda *_: trainer.Outcome(1, ("ValueError: reached",)))
    sound = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    path = str(project({"data.json": json.dumps([sound, *json.loads(NO_ANSWER)])}))
    assert main(["train", path]) == 1 and "1 error above" in capsys.readouterr().out
    Path("mmcurate.toml").write_text('ignore = ["TRN202"]')
    assert main(["train", path]) == 1 and "ValueError: reached" in capsys.readouterr().out
    Path("mmcurate.toml").write_text('max-lost = "10%"')
    assert main(["train", path]) == 1 and "more than max-lost 10%" in capsys.readouterr().out
    Path("mmcurate.toml").write_text('max-lost = "50%"')
    assert main(["train", path]) == 1 and "ValueError: reached" in capsys.readouterr().out


def test_force_goes_on_and_the_trainer_s_failure_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run(arguments: list[str], settings: object, watcher: object) -> trainer.Outcome:
        asked.append(arguments)
        return trainer.Outcome(1, ("noise", "RuntimeError: Cannot find valid samples", "more noise"))

    monkeypatch.setattr(trainer, "run", run)
    path = project({"data.json": NO_ANSWER})
    assert main(["train", str(path), "--force"]) == 1
    assert asked == [["train", str(path)]]
    assert "ended with 1: RuntimeError: Cannot find valid samples" in capsys.readouterr().out


def test_a_run_that_leaves_nothing_is_no_success(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trainer, "run", lambda arguments, settings, watcher: trainer.Outcome(0, ()))
    assert main(["train", str(project({}))]) == 1
    said = capsys.readouterr().out
    assert "FAIL  adapter" in said and "FAIL  losses" in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "model_name_or_path is None"),
        ({"model_name_or_path": "model", "adapter_name_or_path": "gone", "export_dir": "e"}, "no adapter in gone"),
        ({"model_name_or_path": "model", "adapter_name_or_path": "bare", "export_dir": "e"}, "no adapter weights"),
        ({"model_name_or_path": "model", "adapter_name_or_path": ["a", "b"], "export_dir": "e"}, "is a list"),
    ],
)
def test_a_merge_without_its_parts_is_refused(settings: dict[str, object], words: str, project: Project) -> None:
    path = project({})
    Path("bare").mkdir()
    Path("bare/adapter_config.json").write_text("{}")
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(UsageFault, match=words):
        read_merge(path, settings)


def test_a_yaml_for_the_other_command_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project({})
    path.write_text("model_name_or_path: model\nexport_dir: e\n")
    assert main(["train", str(path)]) == 2
    assert "curate export" in capsys.readouterr().err
