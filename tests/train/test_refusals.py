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
from validators.engine import check
from validators.errors import UsageFault
from validators.probes import installed
from validators.settings import FORK_KEYS, PLUGIN

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
def test_keys_of_the_fork_are_refused_before_torch_where_no_plugin_serves(key: str, project: Project) -> None:
    done = without_torch("train", str(project({"train.yaml": f"{key}: true\n"})))
    assert done.returncode == 1, done.stdout + done.stderr
    assert key in done.stdout and "dev-nhb" in done.stdout and "0.9.5" in done.stdout and PLUGIN in done.stdout
    assert "not trained" in done.stdout and "Traceback" not in done.stderr


def test_another_trainer_is_not_given_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "installed_version", lambda: "0.9.4")
    with pytest.raises(UsageFault, match=r"0\.9\.4 is installed") as fault:
        trainer.refuse_fork_keys("x.yaml", {"packing_maxlen": 3})
    assert "packing_maxlen" in str(fault.value) and PLUGIN in str(fault.value) and "0.9.5" in str(fault.value)


def test_the_plugin_runs_where_the_trainer_lacks_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer.refuse_fork_keys("x.yaml", {"enable_high_fps": True})
    assert trainer.command_of({"enable_high_fps": True})[-2:] == ["-m", "train.plugins.launcher"]
    assert Path(trainer.command_of({"video_fps": 2.0})[0]).name == "llamafactory-cli"
    monkeypatch.setattr(trainer, "accepted_keys", lambda: frozenset(FORK_KEYS))
    assert Path(trainer.command_of({"enable_high_fps": True})[0]).name == "llamafactory-cli"


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


LAUNCHERS = ("torch.distributed.x.errors.ChildFailedError: ", "subprocess.CalledProcessError: Command")
FIRST, LATER = "[rank0]: AssertionError: first", "[rank1]: OSError: for want of it"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("noise", "ValueError: a", "KeyError: 'b'", "more noise"), "KeyError: 'b'"),
        (("[rank0]: Traceback", "[rank0]:   File x", FIRST, LATER, *LAUNCHERS), "AssertionError: first"),
        (("ValueError: inside", *LAUNCHERS), "ValueError: inside"),
        (("exitcode: -9", *LAUNCHERS), LAUNCHERS[1]),
        (("[INFO] x >> Error rate: 3", "the end"), "the end"),
        ((), "no output"),
    ],
)
def test_the_error_that_is_told_is_the_cause(lines: tuple[str, ...], words: str) -> None:
    """Launchers raise their own over what went wrong in a process."""
    assert trainer.Outcome(1, lines).last_error() == words


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


def test_versions_are_no_fault_where_their_check_is_disabled(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project({})
    monkeypatch.setattr(installed, "version_of", {"llamafactory": "0.9.5", "transformers": "5.7.0"}.get)
    monkeypatch.delenv("DISABLE_VERSION_CHECK", raising=False)
    assert "CFG208" in {item.code for item in check(path).findings}
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")
    assert "CFG208" not in {item.code for item in check(path).findings}
