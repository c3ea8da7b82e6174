"""What is laid over .venv to run the tests in another locked environment."""

from __future__ import annotations

import pytest

from scripts.overlay import differing, main, pins


def test_the_default_environment_needs_no_overlay() -> None:
    """requirements/dev.txt and the default environment's lock hold the same versions."""
    assert differing("transformers-4.txt") == ""


def test_an_overlay_is_what_differs_with_its_hashes() -> None:
    """transformers and what it needs in another version, and nothing of the gigabytes."""
    different = pins(differing("transformers-5.txt"))
    assert {"transformers", "huggingface-hub"} <= set(different) and not any("torch" in name for name in different)
    assert different["transformers"].startswith("transformers==5.5.4") and "--hash=sha256:" in different["transformers"]


@pytest.mark.parametrize("arguments", [[], ["transformers-4"], ["nowhere", "true"]])
def test_an_unknown_environment_or_no_command_is_refused(arguments: list[str]) -> None:
    """With the usage, and exit code 2."""
    assert main(arguments) == 2


def test_the_command_s_exit_code_is_handed_on() -> None:
    """So that make stops where the tests fail."""
    assert main(["transformers-4", "false"]) == 1
