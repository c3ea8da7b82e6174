"""Which environment a run goes on in, and what is said where none fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from curate import cli
from tests.scaffold import Overlay
from tests.train.environments.conftest import register, thin_environment
from train.environments import choose as choosing
from train.environments import environment as places
from train.environments.choose import Wanted, choose_environment, wanted_for
from train.environments.environment import TrainerEnvironment, locked_environment, this_environment
from train.environments.packages import PACKAGES, own_packages
from validators.errors import UsageFault
from validators.llamafactory.environment.choose import TrainedModel
from validators.llamafactory.environment.locked import LOCKED
from validators.llamafactory.environment.store import environment_named, path_of, python_of
from validators.llamafactory.environment.support import Support, Verdict
from validators.llamafactory.trainer import Trainer

NEW = Trainer(llamafactory="0.9.5", transformers="5.6.0")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """No trainer but what a test adds."""
    monkeypatch.setattr(choosing, "this_environment", lambda: None)
    monkeypatch.setattr(choosing, "environment_on_path", lambda: None)


def here(trainer: Trainer) -> TrainerEnvironment:
    return TrainerEnvironment(python=Path(sys.executable), prefix=Path(sys.prefix), trainer=trainer)


def minicpm(folder: Path) -> Wanted:
    """A yaml for a model that trains with transformers 4 alone."""
    (folder / "model").mkdir()
    config = {"model_type": "minicpmv", "version": 4.5, "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}
    (folder / "model" / "config.json").write_text(json.dumps(config))
    file = folder / "x.yaml"
    settings = {"model_name_or_path": str(folder / "model"), "template": "minicpm_v", "output_dir": str(folder / "o")}
    file.write_text(json.dumps(settings))
    return wanted_for(str(file), settings, None)


@pytest.mark.usefixtures("alone")
def test_without_a_trainer_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageFault) as fault:
        choose_environment(minicpm(tmp_path))
    assert "no LLaMA-Factory is installed" in fault.value.found and "transformers-4" in fault.value.expected
    assert fault.value.cure == f"curate env {tmp_path / 'x.yaml'}"


@pytest.mark.usefixtures("alone")
def test_one_that_fits_is_used_and_one_that_does_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = minicpm(tmp_path)
    own = here(LOCKED[0].trainer)
    monkeypatch.setattr(choosing, "this_environment", lambda: own)
    assert choose_environment(wanted) is own
    monkeypatch.setattr(choosing, "this_environment", lambda: here(NEW))
    with pytest.raises(UsageFault) as fault:
        choose_environment(wanted)
    assert "transformers 5.6.0" in fault.value.found and "all_tied_weights_keys" in fault.value.found
    assert choose_environment(wanted, forced=True).trainer == NEW
    register(LOCKED[0].name)
    assert choose_environment(wanted).name == LOCKED[0].name
    on_path = here(LOCKED[0].trainer)
    monkeypatch.setattr(choosing, "environment_on_path", lambda: on_path)
    assert choose_environment(wanted) is on_path


@pytest.mark.usefixtures("alone")
def test_a_named_one_is_used_whatever_fits(tmp_path: Path) -> None:
    wanted = minicpm(tmp_path)
    (tmp_path / "mmcurate.toml").write_text('environment = "transformers-5"\n')
    named = wanted_for(wanted.file, wanted.settings, None)
    with pytest.raises(UsageFault, match="curate env --make transformers-5"):
        choose_environment(named)
    register("transformers-5")
    assert choose_environment(named).name == "transformers-5"
    with pytest.raises(UsageFault, match="no such environment"):
        choose_environment(wanted_for(wanted.file, wanted.settings, "other"))


@pytest.mark.usefixtures("alone")
def test_a_model_that_trains_nowhere_is_refused_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "of_tomorrow"}')
    failed = {each.trainer: Verdict(result=Support.FAILS, words="no class") for each in LOCKED}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedModel, "under", lambda self, trainer: failed[trainer])
        assert cli.main(["env", "--model", str(tmp_path)]) == 2
    assert "trains in no environment" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
@pytest.mark.usefixtures("alone")
def test_each_command_refuses_before_anything_is_loaded(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = minicpm(tmp_path)
    assert cli.main([command, wanted.file]) == 2
    assert f"curate env {wanted.file}" in capsys.readouterr().err


def test_what_is_needed_is_said_and_nothing_made_where_one_fits(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = minicpm(tmp_path)
    monkeypatch.setattr(choosing, "environment_on_path", lambda: None)
    monkeypatch.setattr(choosing, "this_environment", lambda: here(LOCKED[0].trainer))
    assert cli.main(["env", wanted.file]) == 0
    assert "nothing to make" in capsys.readouterr().out
    monkeypatch.setattr(choosing, "this_environment", lambda: here(NEW))
    for words in ([wanted.file], ["--model", "openbmb/MiniCPM-V-4_5"]):
        assert cli.main(["env", *words, "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert "does not fit" in said and "needs transformers-4" in said and "not made" in said
    assert not data.exists()


def test_a_llamafactory_on_path_is_found_with_what_it_lacks(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = thin_environment(tmp_path / "theirs", None)
    site = next((tmp_path / "theirs").glob("lib/python*/site-packages"))
    for name, version in (("llamafactory", "0.9.5"), ("transformers", "4.57.1")):
        (site / f"{name}-{version}.dist-info").mkdir()
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (python.parent / "llamafactory-cli").write_text("#!/bin/sh\n")
    (python.parent / "llamafactory-cli").chmod(0o755)
    monkeypatch.setenv("PATH", str(python.parent))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = places.environment_on_path()
    assert found is not None and found.managed and found.trainer == LOCKED[0].trainer and not found.is_this
    assert "polars" in places.lacks(found)
    monkeypatch.setattr(choosing, "this_environment", lambda: None)
    with pytest.raises(UsageFault, match="pip install mmcurate there"):
        choose_environment(minicpm(tmp_path))


def test_a_process_there_has_this_mmcurate_and_none_of_its_dependencies(data: Path) -> None:
    folder = own_packages()
    assert own_packages() == folder
    assert {*PACKAGES} <= {path.name for path in folder.iterdir()}
    place = path_of("minicpm-v-4.6")
    python = thin_environment(place, None)
    found = locked_environment(environment_named("minicpm-v-4.6"))
    assert found.python == python == python_of("minicpm-v-4.6") and not found.managed
    values = found.environment()
    assert values["DISABLE_VERSION_CHECK"] == "1" and values["PATH"].split(os.pathsep)[0] == str(python.parent)
    code = "import curate, train, validators, importlib.util as u; print(curate.__file__, u.find_spec('polars'))"
    done = subprocess.run([python, "-P", "-c", code], env=values, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(folder / "curate" / "__init__.py"), "None"]


def test_this_environment_is_the_users_own() -> None:
    own = this_environment()
    assert own is not None and own.is_this and own.managed and own.as_json()["name"] is None


@pytest.mark.usefixtures("alone")
def test_a_dry_run_needs_no_trainer_and_names_the_command_that_brings_it(
    project: Callable[[Overlay], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("train.preflight.estimate.this_environment", lambda: None)
    file = project({})
    assert cli.main(["train", str(file), "--dry-run"]) == 1
    said = capsys.readouterr().out
    assert f"curate env {file}" in said and "pip install" not in said
    assert "would not be trained: no LLaMA-Factory is installed beside this mmcurate" in said
