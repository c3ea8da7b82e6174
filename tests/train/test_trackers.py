"""Trackers: which a run reports to, and what is refused before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli import main
from tests.scaffold import Overlay
from train.trackers import refuse_without_login, trackers_of
from validators.errors import UsageFault

WANDB: dict[str, object] = {"report_to": "wandb"}
SWANLAB: dict[str, object] = {"use_swanlab": True}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(settings: dict[str, object], home: Path, **environment: str) -> bool:
    try:
        refuse_without_login(settings, environment, home)
    except UsageFault as fault:
        assert "no key" in fault.found
        return True
    return False


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ()),
        ({"report_to": None}, ()),
        ({"report_to": "none"}, ()),
        ({"report_to": ["none"]}, ()),
        ({"report_to": "tensorboard"}, ("tensorboard",)),
        ({"report_to": ["wandb", "swanlab"], "use_swanlab": True}, ("wandb", "swanlab")),
        ({"use_swanlab": True}, ("swanlab",)),
    ],
)
def test_who_is_reported_to(settings: dict[str, object], names: tuple[str, ...]) -> None:
    assert trackers_of(settings) == names


def test_wandb_wants_a_login_or_to_stay_offline(tmp_path: Path) -> None:
    assert refused(WANDB, tmp_path) and refused(WANDB, tmp_path, WANDB_MODE="online")
    assert not refused({"report_to": "tensorboard"}, tmp_path)
    assert not refused(WANDB, tmp_path, WANDB_MODE="offline") and not refused(WANDB, tmp_path, WANDB_API_KEY="x")
    (tmp_path / ".netrc").write_text("machine elsewhere\n login a\n password b\n")
    assert refused(WANDB, tmp_path)
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n login user\n password b\n")
    assert not refused(WANDB, tmp_path)
    assert refused(WANDB, tmp_path, WANDB_BASE_URL="https://own.example")
    (tmp_path / ".netrc").write_text("not a netrc")
    assert refused(WANDB, tmp_path)
    Path("wandb").mkdir()
    Path("wandb/settings").write_text("[default]\nmode = offline\n")
    assert not refused(WANDB, tmp_path)


def test_swanlab_wants_a_login_or_to_stay_here(tmp_path: Path) -> None:
    assert refused(SWANLAB, tmp_path) and refused({"report_to": ["swanlab"]}, tmp_path)
    assert not refused(SWANLAB | {"swanlab_mode": "local"}, tmp_path)
    assert refused({"report_to": "swanlab", "swanlab_mode": "local"}, tmp_path), "that key is use_swanlab's"
    assert not refused(SWANLAB | {"swanlab_api_key": "x"}, tmp_path)
    assert not refused(SWANLAB, tmp_path, SWANLAB_MODE="local")
    (tmp_path / "home/.swanlab").mkdir(parents=True)
    (tmp_path / "home/.swanlab/.netrc").write_text("")
    assert not refused(SWANLAB, tmp_path / "home")


def test_a_training_without_login_does_not_start(
    project: Callable[[Overlay], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    assert main(["train", str(project({"train.yaml": "report_to: wandb\n"}))]) == 2
    assert "WANDB_MODE=offline" in capsys.readouterr().err and not Path("out").exists()
