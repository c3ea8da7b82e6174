"""Which environment a run needs and will use, and what check says of a model there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.llamafactory.environment import store
from validators.llamafactory.environment.choose import INSTALLED, model_of, needed_environment, run_environment
from validators.llamafactory.environment.families import BY_NAME, FAMILIES, ModelFamily, families_of
from validators.llamafactory.environment.locked import LOCKED, LockedEnvironment
from validators.llamafactory.environment.support import Support, support_cells
from validators.llamafactory.generated import has_class, tabled
from validators.llamafactory.keys import trainer_keys
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.probes import installed

Project = Callable[[Overlay], Path]
NEWER = Trainer(llamafactory="0.9.5", transformers="5.6.0")
HUB = {"minicpm_v_4_7": "openbmb/MiniCPM-V-4_7", "minicpm_ocr": "openbmb/MiniCPM-OCR"}
"""Families whose config.json is not known, by a hub name."""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Locks for all environments, none of them made; the fixture makes one."""
    (tmp_path / "locks").mkdir()
    for locked in LOCKED:
        (tmp_path / "locks" / locked.lock).write_text(f"llamafactory=={locked.trainer.llamafactory}\n")
    monkeypatch.setattr(store, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(store, "folder_of_environments", lambda: tmp_path / "environments")

    def make(name: str) -> None:
        store.path_of(name).mkdir(parents=True)
        (store.path_of(name) / store.MARK).write_text("{}")

    return make


def config_of(family: ModelFamily, trainer: Trainer = REFERENCE) -> dict[str, object]:
    """config.json of a model of the family, as far as it tells the family; empty where that is not known. Of several
    types one that the trainer has a class for, where there is such a one."""
    if not family.model_types:
        return {}
    kind = next((each for each in family.model_types if has_class(each, trainer)), family.model_types[0])
    own = {"auto_map": {"AutoModel": "modeling.Model"}} if family.own_code else {}
    return {"model_type": kind, **({"version": family.version} if family.version else {}), **own}


def test_each_family_is_told_by_its_config_and_by_its_hub_name() -> None:
    for family in FAMILIES:
        template = family.templates[0] if family.templates else None
        if config := config_of(family):
            assert families_of("some/name", config, template) == (family,), family.name
    names = {
        "openbmb/MiniCPM-V-2_6": "minicpm_v_2_6",
        "openbmb/MiniCPM-V-4": "minicpm_v_4_0",
        "openbmb/MiniCPM-V-4-int4": "minicpm_v_4_0",
        "openbmb/MiniCPM-V-4_5": "minicpm_v_4_5",
        "/data/MiniCPM-V-4.5/": "minicpm_v_4_5",
        "openbmb/MiniCPM-V-4.6": "minicpm_v_4_6",
        "openbmb/MiniCPM-o-2_6": "minicpm_o_2_6",
        "openbmb/MiniCPM-o-4_5": "minicpm_o_4_5",
        "Qwen/Qwen2-VL-7B-Instruct": "qwen2_vl",
        "Qwen/Qwen2.5-VL-3B-Instruct": "qwen2_5_vl",
        "Qwen/Qwen3-VL-30B-A3B-Instruct": "qwen3_vl_moe",
        "Qwen/Qwen3-VL-8B-Instruct": "qwen3_vl",
        **{name: family for family, name in HUB.items()},
    }
    for name, family in names.items():
        assert families_of(name, {}, None) == (BY_NAME[family],), name


def test_a_template_alone_leaves_all_its_families() -> None:
    named = {family.name for family in families_of("model", {}, "minicpm_v")}
    assert {"minicpm_v_2_6", "minicpm_v_4_0", "minicpm_v_4_5"} <= named
    assert families_of("model", {}, "qwen") == families_of("model", {"model_type": "unheard_of"}, "minicpm_v") == ()


def test_every_cell_is_of_a_known_family_and_has_its_evidence() -> None:
    for (name, trainer), cell in support_cells().items():
        assert name in BY_NAME, name
        assert cell.result is not Support.FAILS or cell.words, (name, trainer)
        assert not cell.ran or (cell.evidence and cell.source), (name, trainer)


@pytest.mark.parametrize("locked", LOCKED, ids=lambda locked: locked.name)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_check_says_of_each_family_what_the_table_says(
    family: ModelFamily, locked: LockedEnvironment, project: Project, made: Callable[[str], None]
) -> None:
    train = {"template": family.templates[0] if family.templates else "qwen", "trust_remote_code": True}
    config = config_of(family, locked.trainer)
    train |= {} if config else {"model_name_or_path": HUB[family.name]} if family.name in HUB else {}
    files = {"model/config.json": json.dumps(config)} if config else {}
    report = check(project(files | {"train.yaml": json.dumps(train)}), CheckOptions(environment=locked.name))
    said = {item.code for item in report.findings if item.code in ("ENV201", "ENV301", "ENV302")}
    cell = support_cells().get((family.name, locked.trainer))
    if cell is not None and cell.ran:
        failure = "ENV301" if cell.revision else "ENV201"
        assert said == ({failure} if cell.result is Support.FAILS else set())
    elif config and not family.own_code and not has_class(family.model_types[0], locked.trainer):
        assert said == {"ENV201"}
    elif config or family.name in HUB:
        assert len(said) == 1 and said <= {"ENV301", "ENV302"}
    assert report.environment == f"{locked.trainer.words()} in the environment {locked.name}"


def test_the_guide_s_model_under_transformers_5(
    project: Project, made: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error with one command; when the environment is made, the run goes there."""
    monkeypatch.setattr(installed, "trainer", lambda: NEWER)
    path = project({"train.yaml": "model_name_or_path: openbmb/MiniCPM-V-4_5\ntemplate: minicpm_v\n"})
    before = [item for item in check(path).findings if item.code == "ENV201"]
    assert [item.cure for item in before] == [f"curate env {path}"]
    assert "all_tied_weights_keys" in before[0].found
    made("transformers-4")
    after = check(path)
    assert "in the environment transformers-4" in after.environment
    assert "ENV201" not in {item.code for item in after.findings}


def test_what_is_installed_is_used_where_it_fits(made: Callable[[str], None]) -> None:
    qwen = model_of("Qwen/Qwen2-VL-2B-Instruct", {}, "qwen2_vl")
    minicpm = model_of("openbmb/MiniCPM-V-4_5", {}, "minicpm_v")
    for locked in LOCKED:
        made(locked.name)
    assert run_environment(qwen, NEWER).name == INSTALLED
    assert run_environment(minicpm, REFERENCE).name == INSTALLED
    assert run_environment(minicpm, NEWER).name == "transformers-4"
    assert run_environment(minicpm, NEWER, INSTALLED).trainer == NEWER
    assert run_environment(minicpm, NEWER, "transformers-5").name == "transformers-5"


def test_a_core_install_uses_the_environment_that_the_model_needs(made: Callable[[str], None]) -> None:
    wanted = {
        "openbmb/MiniCPM-V-4_5": "transformers-4",
        "openbmb/MiniCPM-V-4_6": "minicpm-v-4.6",
        "openbmb/MiniCPM-V-4_7": "minicpm-v-4.6",
        "Qwen/Qwen3.5-9B": "transformers-5",
        "Qwen/Qwen2.5-VL-7B-Instruct": "transformers-4",
    }
    for name, needed in wanted.items():
        model = model_of(name, {}, {"Qwen/Qwen3.5-9B": "qwen3_5"}.get(name))
        assert needed_environment(model).name == needed
        chosen = run_environment(model, None)
        assert (chosen.name, chosen.made) == (needed, False)
        assert chosen.python == store.python_of(needed)


@pytest.mark.parametrize("name", ["transformers-6", "", "../x"])
def test_an_environment_that_there_is_not(name: str) -> None:
    with pytest.raises(UsageFault, match="one of installed, transformers-4"):
        run_environment(model_of(None, {}, None), None, name)


def test_without_a_lock_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCKS", tmp_path)
    assert not store.is_made("transformers-4")
    assert store.packages_of("transformers-4") is None


def test_another_lock_is_another_folder(made: Callable[[str], None]) -> None:
    made("transformers-5")
    before = store.path_of("transformers-5")
    assert store.is_made("transformers-5")
    store.lock_of("transformers-5").write_text("llamafactory==0.9.6\n")
    assert store.path_of("transformers-5") != before
    assert not store.is_made("transformers-5")


def test_keys_of_another_transformers_are_named_with_it(project: Project) -> None:
    """Every key that one of the tabled releases takes and another does not."""
    for trainer in tabled():
        keys = trainer_keys(trainer)
        locked = next((each for each in LOCKED if each.trainer == trainer), None)
        others = {key for other in tabled() for key in trainer_keys(other)} - keys.keys()
        if locked is None or not others:
            continue
        path = project({"train.yaml": json.dumps(dict.fromkeys(sorted(others), 1))})
        found = {
            item.place.path: item.found
            for item in check(path, CheckOptions(environment=locked.name)).findings
            if item.code == "CFG101"
        }
        assert found.keys() == others
        for key, words in found.items():
            assert words.startswith(f"{key}: taken by LLaMA-Factory")
            assert words.endswith(f"not by {trainer.words()} in the environment {locked.name}")


def test_a_source_tree_without_metadata_says_its_version_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llamafactory"
    (package / "extras").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "extras" / "env.py").write_text('VERSION = "0.9.7.dev0"\n')
    monkeypatch.delitem(sys.modules, "llamafactory", raising=False)  # another test may have imported the installed one
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed.version_of("llamafactory") == "0.9.7.dev0"
    assert installed.folder_of("llamafactory") == tmp_path
