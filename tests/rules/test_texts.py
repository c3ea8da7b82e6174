"""Near misses and near hits of the rules on texts, and that batches do not change what they see."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rules.test_laws import fixture_of, located
from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.policy import selection
from validators.rules.answers import loop
from validators.rules.registry import RULES
from validators.rules.text import escaped_twice, undone
from validators.thresholds import Thresholds

Project = Callable[[Overlay], Path]
CASES: dict[str, tuple[list[str], list[str]]] = {
    "TXT001": (["—", "。", "( )", "<video> .", "***"], ["?", "+", "3", "ok", "√", "🙂", "!"]),
    "TXT101": (
        ["naÃ¯ve", "30Â°", "donâ€™t", "ðŸ˜€", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "ä½\xa0å¥½", "ï»¿Hi", "锟斤拷", "a â†’ b", "ï¿½"],
        ["Âge", "“NÃO”", "MAÇÃ", "crêpe à la Âme", "âne", "pâté", "Ñandú", "Ðakovo", "ä, å, æ", "ÂNGELA Â»"],
    ),
    "TXT103": (["a\x00b", "\x1b[1m", "a\x7f", "a\x0cb", "a\x85b"], ["a\tb\r\nc", "é", "\xa0"]),
    "TXT104": (["a\u200bb", "\ufeffa", "\u202ea", "co\xadop"], ["👩‍👧", "می‌خواهم", "مرحبا\u200f", "☀️"]),
    "TXT106": (
        ["Hi<|im_end|>", "<|endoftext|>", "[/INST] Hi", "<<SYS>>", "<start_of_turn>user", "Hi</s>", "### Human: hi"],
        ["<s>old</s> new", "[INSTALL]", "### Humans", "<|x|>", "a << SYS >> b"],
    ),
    "TXT107": (
        ["Assistant: Hi", "GPT：Hi", "助手: 你好", "system\nHi", " USER: Hi"],
        ["Assistants: two", "AI: short", "user"],
    ),
    "TXT108": (["Tom &amp; Ann", "it&#39;s", "a&nbsp;b"], ["R&D; more", "`&amp;`", "<b>Tom &amp; Ann</b>", "AT&T"]),
    "TXT110": (
        ["<think>a", "a</think>b", "</think><think>", "<think><think>a</think></think>"],
        ["<think>a</think>b", "<think>a</think>b<think>c</think>", "I think so", "<thinking>"],
    ),
    "TXT112": (
        ["See {question}.", "{{ caption }}", "${answer}", "Write <your answer here>."],
        ["f({x})", r"\text{answer}", r"\frac{a}{input}", "`{question}`", "{{ab}}", "{'text': 1}", r"\end{{{inner}}}"],
    ),
    "TXT301": (
        [
            "I'm sorry, but I can't assist with that.",
            "I’m sorry, I cannot do this.",
            "Sorry, but as an AI assistant, I am not able to do so.",
            "I cannot help with this.",
            "As a large language model, I have no body.",
            "抱歉，我不能这样做。",
            "作为一个人工智能助手，我没有身体。",
        ],
        [
            "I'm sorry for your loss.",
            "Sorry, it is a dog.",
            "I cannot see a dog.",
            "As an AIDS patient, he knew.",
            "对不起！",
        ],
    ),
    "TXT302": (
        ["N/A", "null", "None", "nan", "TODO", "[caption]", "<answer>", "(your answer here)", "Your answer goes here."],
        ["none", "Nothing.", "No", "NA", "[1]", "Answer: 3", "A todo list", "Text", "Null and void"],
    ),
    "TXT304": (["x " + "QUJDREVGR0hJSktMTU5P" * 14], ["x" * 400, "/usr/share/" * 30, "a-" * 200, "01" * 200]),
}


def rows_of(answers: list[str]) -> str:
    """One row an answer, as JSON."""
    turns = [[{"role": "user", "content": "What?"}, {"role": "assistant", "content": text}] for text in answers]
    return json.dumps([{"messages": pair} for pair in turns])


@pytest.mark.parametrize("code", CASES)
def test_a_rule_speaks_of_its_fault_and_not_of_what_looks_like_it(code: str, project: Project) -> None:
    bad, good = CASES[code]
    found = check(project({"data.json": rows_of([*bad, *good])})).findings
    rows = {finding.place.row for finding in found if finding.code == code}
    assert rows == set(range(len(bad))), [
        ([*bad, *good])[row] for row in rows ^ set(range(len(bad))) if row is not None
    ]


def test_a_denied_medium_is_one_that_the_row_has(project: Project) -> None:
    """The same words in a row without media are a refusal, or nothing."""
    denials = [
        "I'm sorry, but I can't view the image.",
        "I am unable to see images directly.",
        "No image was provided.",
        "Please upload the picture first.",
        "抱歉，我无法直接查看您上传的图片。",
        "我没有收到任何图片。",
    ]
    sound = ["I can't see the image of a cat on the wall.", "No picture hangs there.", "图片里没有猫。"]
    rows = json.loads(rows_of([*denials, *sound]))
    for row in rows:
        row["messages"][0]["content"] = "<image>What?"
        row["images"] = ["cat.jpg"]
    found = check(project({"data.json": json.dumps(rows)}), CheckOptions(policy=selection(ignore=("DUP303",)))).findings
    assert [(item.code, item.place.row) for item in found] == [("TXT307", row) for row in range(len(denials))]
    plain = check(project({"data.json": rows_of(denials)})).findings
    assert {item.code for item in plain} == {"TXT301"}


def test_new_findings_do_not_depend_on_batches(project: Project) -> None:
    """Law 5 for every rule on texts, tags and turns: their bad fixtures as one dataset, in batches of any size."""
    entry = {
        "file_name": "data.json",
        "formatting": "sharegpt",
        "columns": {key: key for key in ("messages", "images", "videos", "audios", "system", "tools")},
        "tags": json.loads(fixture_of("TRN203", "bad")["dataset_info.json"])["data"]["tags"],
    }
    codes = [rule.code for rule in RULES if rule.code[:3] in ("TXT", "TAG", "TRN") and rule.code not in NEEDS_MORE]
    rows = [row for code in codes for row in json.loads(fixture_of(code, "bad")["data.json"])]
    plain = [{key: row.get(key) or default for key, default in EMPTY.items()} for row in rows]
    yaml_file = project({"data.json": json.dumps(plain), "dataset_info.json": json.dumps({"data": entry})})
    expected = located(check(yaml_file))
    assert {code for code, _, _ in expected} >= set(codes)
    for size in (1, 2, 7):
        assert located(check(yaml_file, CheckOptions(batch_rows=size))) == expected


EMPTY: dict[str, object] = {"messages": [], "images": [], "videos": [], "audios": [], "system": "", "tools": ""}
NEEDS_MORE = {"TXT202", "TXT203", "TAG101", "TAG208", "TAG209", "TAG207", "TRN101", "TRN102", "TAG205", "TAG206"}
"""Rules that need a train yaml or a dataset_info.json of their own, or a column that the others must not have."""


def test_thresholds_move_the_rules(project: Project) -> None:
    """Loops and blobs count from the numbers that are configured."""
    text = [f"So {'it goes on and on, ' * 6}".strip(), "see " + b64encode(bytes(range(110))).decode()]
    yaml_file = project({"data.json": rows_of(text)})
    assert check(yaml_file).findings == ()
    narrow = CheckOptions(thresholds=Thresholds(max_repeats=5, min_blob_length=130))
    assert [item.code for item in check(yaml_file, narrow).findings] == ["TXT303", "TXT304"]


@pytest.mark.parametrize(
    "piece", ["ha ", "So it is. ", "A sentence that is longer than what is looked for. ", "是的，"]
)
@pytest.mark.parametrize("cut", [0, 2])
def test_a_loop_is_found_whole_and_counted(piece: str, cut: int) -> None:
    """The piece and its number, also where the last one is cut off."""
    text = "It began well: " + piece * 30
    found, times = loop(text[: len(text) - cut], 10)
    assert times in (29, 30) and sorted(found) == sorted(piece)
    assert loop(text[: len(text) - cut], 31) == ("", 0)
    assert loop("One thing after another, and then no more of it all.", 4) == ("", 0)


def test_alpaca_columns_are_named(project: Project) -> None:
    """A finding names the column that holds the text."""
    rows = [{"instruction": "{question}", "input": "", "output": "N/A"}]
    info = {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    found = check(project({"data.json": json.dumps(rows), "dataset_info.json": json.dumps(info)})).findings
    assert {(item.code, item.place.path) for item in found} == {("TXT112", "instruction"), ("TXT302", "output")}


def test_what_was_meant_is_told_where_it_can_be() -> None:
    assert undone("Ã¼") == "ü" and undone("ðŸ˜€") == "😀" and undone("â€") == ""
    assert escaped_twice(r"C:\new and \neq") is None and escaped_twice(r"a\n\nB") is not None
