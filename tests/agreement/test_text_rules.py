"""What the pages of the rules on texts, tags and turns say of the trainer, held against the installed one."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.oracle import Oracle, Truth, make_family
from tests.scaffold import TAGS, make_media, make_tokenizer
from validators.engine import CheckOptions, check
from validators.model import Outcome

pytestmark = pytest.mark.trainer
Row = dict[str, Any]
TOOL_TAGS = TAGS | {"function_tag": "function_call", "observation_tag": "observation"}
COLUMNS = {name: name for name in ("messages", "images", "system")}
ENTRY = {"file_name": "data.json", "formatting": "sharegpt", "columns": COLUMNS, "tags": TOOL_TAGS}


def turns(*texts: str, **more: Any) -> Row:
    """A row of questions and answers in turn."""
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": said, "images": [], "system": ""} | more


def lay_rows(folder: Path, rows: Sequence[Row], settings: Row) -> Path:
    """The rows as a dataset with its train yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"data": ENTRY}), encoding="utf-8")
    given = {"stage": "sft", "do_train": True, "dataset": "data", "dataset_dir": str(folder), "output_dir": "out"}
    (folder / "train.yaml").write_text(json.dumps(given | settings), encoding="utf-8")
    return folder / "train.yaml"


def found(yaml_file: Path) -> dict[int, set[str]]:
    """The codes of the findings on each row."""
    codes: dict[int, set[str]] = {}
    for finding in check(yaml_file, CheckOptions()).findings:
        if finding.place.row is not None:
            codes.setdefault(finding.place.row, set()).add(finding.code)
    return codes


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The scaffold's tokenizer, as transformers loads it."""
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("text") / "model"
    make_tokenizer(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def encoded(tokenizer: Any, template: str, messages: list[Row], **settings: Any) -> list[tuple[str, str]]:
    """Each pair of turns as the real template encodes it, in text."""
    from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    pristine = copy.deepcopy(TEMPLATES[template])
    arguments = DataArguments(template=template, **settings)
    try:
        theirs = get_template_and_fix_tokenizer(copy.deepcopy(tokenizer), arguments)
        discard = arguments.mask_history and not theirs.preserve_thinking
        pairs = theirs.encode_multiturn(tokenizer, messages, "", "", discard)
    finally:
        TEMPLATES[template] = pristine
    return [(tokenizer.decode(source), tokenizer.decode(target)) for source, target in pairs]


@pytest.mark.parametrize("enable", [True, False])
@pytest.mark.parametrize("answer", ["<think>\nIt has fur.\n\nA cat.", "It has fur.\n</think>\n\nA cat."])
def test_half_a_thought_is_neither_completed_nor_removed(answer: str, enable: bool, tokenizer: Any) -> None:
    """TXT110: an answer with one of the marks goes in as it is; one with none gets an empty thought."""
    (source, target), *_ = encoded(tokenizer, "qwen3", turns("Hi", answer)["messages"], enable_thinking=enable)
    assert target.startswith(answer) and "<think>" not in source
    (source, target), *_ = encoded(tokenizer, "qwen3", turns("Hi", "A cat.")["messages"], enable_thinking=enable)
    assert "<think>\n\n</think>\n\n" in (target if enable else source)


THOUGHTS = ["<think>", "</think>", "<think>\n", "\n</think>\n\n", "It has fur.", "A cat.", "\n"]


@pytest.mark.parametrize("settings", [{"enable_thinking": False}, {"mask_history": True}], ids=str)
def test_a_thought_stays_exactly_where_the_rule_says(settings: Row, tokenizer: Any, tmp_path: Path) -> None:
    """TXT202 speaks of a row exactly when a whole thought is left in an answer that the trainer cleans."""
    rng = random.Random(5)
    rows = [
        turns(*("Hi" if at % 2 == 0 else "".join(rng.choices(THOUGHTS, k=5)) for at in range(rng.choice([2, 4, 6]))))
        for _ in range(200)
    ]
    codes = found(lay_rows(tmp_path, rows, settings | {"template": "qwen3"}))
    left = set()
    for number, row in enumerate(rows):
        pairs = encoded(tokenizer, "qwen3", row["messages"], **settings)
        cleaned = pairs if "enable_thinking" in settings else pairs[:-1]
        if any("<think>" in answer and "</think>" in answer for _, answer in cleaned):
            left.add(number)
    assert 20 < len(left) < 180
    assert {row for row, seen in codes.items() if "TXT202" in seen} == left


def test_an_answer_that_is_all_thought_becomes_empty(tokenizer: Any) -> None:
    """TXT002, under `enable_thinking: false`."""
    messages = turns("Hi", "<think>\nIt has fur.\n</think>\n\n")["messages"]
    (_, target), *_ = encoded(tokenizer, "qwen3", messages, enable_thinking=False)
    assert target == "<|im_end|>\n"


def test_instruction_and_input_are_joined_though_they_are_the_same() -> None:
    """TXT203: the question of the real converter is one text twice."""
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.hparams import DataArguments

    converter = get_dataset_converter("alpaca", DatasetAttr("file", "data.json"), DataArguments(template="qwen"))
    row = converter({"instruction": "Name a cat.", "input": "Name a cat.", "output": "Tom."})
    assert row["_prompt"] == [{"role": "user", "content": "Name a cat.\nName a cat."}]


def test_a_mark_in_an_answer_is_the_token_itself(tokenizer: Any) -> None:
    """TXT106: `<|im_end|>` in a text ends the turn as the template's own does; TXT305: white space stays."""
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    theirs = get_template_and_fix_tokenizer(copy.deepcopy(tokenizer), DataArguments(template="qwen"))
    (_, target), *_ = theirs.encode_multiturn(tokenizer, turns("Hi", " A cat.<|im_end|> So.\n")["messages"], "", "")
    assert target.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 2
    assert tokenizer.decode(target) == " A cat.<|im_end|> So.\n<|im_end|>\n"


@pytest.fixture(scope="module")
def judge(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, list[Row]], tuple[list[Truth], list[set[str]], Any]]:
    """Rows through a model's own preprocessing and step: truths, our codes for each row, and the oracle."""
    work = tmp_path_factory.mktemp("rules")
    make_media(work / "media")
    families: dict[str, Any] = {}

    def run(name: str, rows: list[Row]) -> tuple[list[Truth], list[set[str]], Any]:
        if name not in families:
            families[name] = make_family(name, work / name, ["What is it? A cat."])
        family = families[name]
        folder = work / f"{name}-{len(list(work.iterdir()))}"
        settings = {"template": family.template, "model_name_or_path": str(family.folder), "cutoff_len": 4096}
        codes = found(lay_rows(folder, rows, settings | {"media_dir": str(work / "media")}))
        oracle = Oracle(family, folder, {"cutoff_len": 4096, "media_dir": str(work / "media")})
        truths = oracle.judge_all("data")
        assert isinstance(truths, list), truths
        return truths, [codes.get(number, set()) for number in range(len(rows))], oracle

    return run


NEAR = ["<Image>", "<img>", "<images>", "<IMAGE>", "<image >", "< image>", "<|image|>", "<image_0>", "<ImageHere>"]
NEAR += ["[IMAGE]", "<__media__>", "<|image_1|>", "<image_token>"]


def test_a_tag_in_another_spelling_is_none(judge: Any) -> None:
    """TAG102 names every spelling that the trainer passes over, and stops at."""
    truths, codes, _ = judge("qwen2_vl", [turns(f"{tag}What is it?", "A cat.", images=["cat.jpg"]) for tag in NEAR])
    for tag, truth, seen in zip(NEAR, truths, codes, strict=True):
        assert truth.outcome is Outcome.CRASH_LOAD and "number of images does not match" in truth.error, tag
        assert {"TAG102", "TAG202"} <= seen, tag


def test_a_tag_in_the_system_prompt_is_text_and_one_in_an_answer_is_a_medium(judge: Any) -> None:
    """TAG302 and TAG301: the first is neither counted nor replaced, the second is supervised."""
    rows = [
        turns("<image>What is it?", "A cat.", images=["cat.jpg"], system="Look at <image>."),
        turns("What is it?", "A cat.", images=["cat.jpg"], system="Look at <image>."),
        turns("What is it?", "<image>A cat.", images=["cat.jpg"]),
    ]
    truths, codes, oracle = judge("qwen2_vl", rows)
    assert [truth.outcome for truth in truths] == [Outcome.TRAINED, Outcome.CRASH_LOAD, Outcome.TRAINED]
    assert "TAG302" in codes[0] and {"TAG302", "TAG202"} <= codes[1] and codes[2] == {"TAG301"}
    decode = oracle.family.processor.tokenizer.decode
    assert "Look at <image>." in decode(made(oracle, rows[0])["input_ids"])
    labels = [label for label in made(oracle, rows[2])["labels"] if label != -100]
    assert decode(labels).startswith("<|vision_start|><|image_pad|>")


def test_an_empty_system_turn_gives_way_to_the_default(judge: Any) -> None:
    """TRN002: the template's own system prompt stands where the empty one was to be."""
    row = turns("What is it?", "A cat.")
    row["messages"].insert(0, {"role": "system", "content": ""})
    (truth,), (seen,), oracle = judge("qwen2_vl", [row])
    assert truth.outcome is Outcome.TRAINED and seen == {"TRN002"}
    text = oracle.family.processor.tokenizer.decode(made(oracle, row)["input_ids"])
    assert text.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>")


def made(oracle: Any, row: Row) -> Row:
    """What the trainer's preprocessing makes of a row."""
    aligned = {key: [value] for key, value in oracle.converter(row).items()}
    return {key: values[0] for key, values in oracle.supervise.preprocess_dataset(aligned).items()}


def test_minicpms_own_mark_leaves_its_half_in_the_text(judge: Any) -> None:
    """TAG103: Qwen2-VL reads the rest as text, MiniCPM-V stops at its step."""
    row = turns("(<image>./</image>)\nWhat is it?", "A cat.", images=["cat.jpg"])
    (truth,), (seen,), oracle = judge("qwen2_vl", [row])
    assert truth.outcome is Outcome.TRAINED and seen == {"TAG103"}
    assert "<|vision_end|>./</image>)" in oracle.family.processor.tokenizer.decode(made(oracle, row)["input_ids"])
    (truth,), (seen,), _ = judge("v-2.6", [row])
    assert truth.outcome is Outcome.CRASH_STEP and {"TAG101", "TAG103"} <= seen


def test_results_and_calls_out_of_place_train(judge: Any) -> None:
    """TRN003, TRN203, TRN204: the trainer takes such rows whole."""
    call = {"role": "function_call", "content": '{"name": "clock", "arguments": {}}'}
    result, answer = {"role": "observation", "content": "12:00"}, {"role": "assistant", "content": "Noon."}
    asked = {"role": "user", "content": "What time is it?"}
    rows = [
        turns() | {"messages": [result, answer]},
        turns() | {"messages": [asked, call, asked, answer]},
        turns() | {"messages": [asked, answer, result, answer]},
    ]
    truths, codes, _ = judge("qwen2_vl", rows)
    assert [truth.outcome for truth in truths] == [Outcome.TRAINED] * 3
    assert codes == [{"TRN003"}, {"TRN203"}, {"TRN204"}]
