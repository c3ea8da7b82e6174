"""Every chat template of the installed trainer, turn by turn: our pieces encode to as many tokens as its own do."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.scaffold import make_tokenizer
from validators.budgets.templates import Thinking, find_template, template_names
from validators.budgets.text import load_tokenizer
from validators.model import Role
from validators.replay.tools.fault import ToolFault

pytestmark = pytest.mark.trainer
WORDS = [
    "Hi",
    "<think>\nhm\n</think>\n\n",
    "<think>",
    "</think>",
    "{{content}}",
    "{{idx}}",
    "It is",
    "\n\n",
    "猫",
    "7",
    "",
]
WORDS += ["<tool_call>", "</tool_call>", "<|im_end|>", "<s>", "é", "  "]
CALL = json.dumps({"name": "clock", "arguments": {"zone": "Rome", "hours": 2}})
TOOLS = json.dumps(
    [
        {
            "name": "clock",
            "description": "Tells the time.",
            "parameters": {
                "type": "object",
                "properties": {"zone": {"type": "string", "description": "Where."}},
                "required": ["zone"],
            },
        }
    ]
)
ROWS = 25


def words(rng: random.Random) -> str:
    return "".join(rng.choice(WORDS) for _ in range(rng.randrange(6)))


def conversation(rng: random.Random) -> list[tuple[Role, str]]:
    """One to three pairs; now and then a call and its result."""
    turns: list[tuple[Role, str]] = []
    for _ in range(rng.randrange(1, 4)):
        asks_tool = rng.random() < 0.2
        turns.append((Role.OBSERVATION if turns and rng.random() < 0.2 else Role.USER, words(rng)))
        turns.append((Role.FUNCTION, CALL) if asks_tool else (Role.ASSISTANT, words(rng)))
    return turns


@pytest.fixture(scope="module", params=["with bos", "without bos"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder; a model's tokenizer has a bos token, or none."""
    made = tmp_path_factory.mktemp("templates") / "model"
    make_tokenizer(made)
    config = {"eos_token": "<|endoftext|>", "bos_token": "<|im_start|>" if request.param == "with bos" else None}
    (made / "tokenizer_config.json").write_text(json.dumps(config))
    return made


def lengths(template: Any, counter: Any, turns: list[tuple[Role, str]], system: str, tools: str, how: Thinking) -> Any:
    """Our tokens of each turn; "fault" where we say that the trainer fails."""
    try:
        encoded = template.encode(turns, system or template.default_system, tools, how)
    except ToolFault:
        return "fault"
    return [
        sum(
            (piece.text != "bos_token" or counter.has_bos) if piece.special else counter.count(piece.text)
            for piece in pieces
            if piece.special or piece.text
        )
        for pieces in encoded
    ]


@pytest.mark.parametrize("name", template_names())
def test_a_template_encodes_as_the_trainer_does(name: str, folder: Path) -> None:
    """Tokens of every turn of random conversations, with and without system prompt, tools and thoughts."""
    from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(name)
    pristine = copy.deepcopy(TEMPLATES[name])
    ours = find_template(name)
    assert ours is not None
    wrong = []
    try:
        for enable, preserve in ((True, False), (False, False), (None, True)):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
            counter = load_tokenizer(folder / "tokenizer.json")
            counter.add_special(ours.stop_words)
            arguments = DataArguments(template=name, enable_thinking=enable, preserve_thinking=preserve)
            theirs = get_template_and_fix_tokenizer(tokenizer, arguments)
            for number in range(ROWS):
                turns = conversation(rng)
                system, tools = rng.choice(["", words(rng)]), rng.choice(["", "", TOOLS])
                mask = number % 2 == 1
                messages = [{"role": role.value, "content": text} for role, text in turns]
                try:
                    pairs = theirs.encode_multiturn(tokenizer, messages, system, tools, mask and not preserve)
                    expected: Any = [len(ids) for pair in pairs for ids in pair]
                except Exception:
                    expected = "fault"
                found = lengths(ours, counter, turns, system, tools, Thinking(enable, preserve, mask))
                if found != expected:
                    wrong.append(f"{turns} {system!r} {bool(tools)} {mask}: {expected}, not {found}")
    finally:
        TEMPLATES[name] = pristine
    assert not wrong, f"{len(wrong)} of {3 * ROWS}:\n" + "\n".join(wrong[:3])
