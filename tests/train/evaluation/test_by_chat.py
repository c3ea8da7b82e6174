"""`curate evaluate` of models that only their own `chat` can ask: what it is shown, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.cli import main
from tests.scaffold import TAGS, Overlay, make_clip
from tests.train.own_model import make_own_model
from train.evaluation.by_chat import parts_of, scores
from train.evaluation.predict import Asking, asking_of
from train.own_chat import chat, takes_messages
from validators.budgets.templates import find_template
from validators.errors import UsageFault

Project = Callable[[Overlay], Path]
CONFIG = '{"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}'
CHATS = "class Own:\n    def chat(\n        self,\n        image=None,\n        msgs=None,\n    ):\n        pass\n"
TRUSTED: dict[str, object] = {"model_name_or_path": "own", "trust_remote_code": True}


def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, config: str, code: str, trusts: bool) -> Asking:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "modeling_own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    return asking_of(Path("x.yaml"), TRUSTED | {"trust_remote_code": trusts}, find_template(template))


@pytest.mark.parametrize(
    ("template", "config", "expected"),
    [
        ("minicpm_v", CONFIG, Asking.CHAT),
        ("minicpm_o", CONFIG, Asking.CHAT),
        ("minicpm_v", "{}", Asking.PREDICT),
        ("minicpm_v_4_6", CONFIG, Asking.PREDICT),
        ("qwen2_vl", CONFIG, Asking.PREDICT),
    ],
)
def test_what_is_asked_by_chat(
    template: str, config: str, expected: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(tmp_path, monkeypatch, template, config, CHATS, trusts=True) is expected


@pytest.mark.parametrize(
    ("code", "trusts", "words"),
    [(CHATS, False, "trust_remote_code: true"), ("class Own:\n    pass\n", True, "no chat")],
)
def test_what_cannot_be_asked_is_refused_at_once(
    code: str, trusts: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageFault) as fault:
        ask(tmp_path, monkeypatch, "minicpm_v", CONFIG, code, trusts)
    assert words in str(fault.value)


def test_a_turn_s_media_stand_where_its_text_says() -> None:
    media: dict[str, list[list[object]]] = {"<image>": [[1], [2]], "<video>": [[3, 4, 5]]}
    assert parts_of("<image>\nWhich of <video>?\n", media) == [1, "Which of ", 3, 4, 5, "?"]
    assert parts_of("<image>", media) == [2]
    assert parts_of("<image>", media) == ["<image>"], "no more of them: it is text"
    assert parts_of("", media) == [""]


class Asked:
    """Versions of `chat`, which give back what they were given."""

    def v26(
        self, image: Any, msgs: Any, tokenizer: Any, sampling: bool = True, system_prompt: str = "", **more: Any
    ) -> str:
        return json.dumps({"msgs": msgs, "sampling": sampling, "system_prompt": system_prompt} | more)

    def o45(self, msgs: Any, do_sample: bool = True, max_new_tokens: int = 9) -> str:
        return json.dumps({"msgs": msgs, "do_sample": do_sample, "most": max_new_tokens})

    def silent(self, msgs: Any) -> None:
        return None


def asked_by(name: str) -> Any:
    model = Asked()
    model.chat = getattr(model, name)  # type: ignore[attr-defined]
    return model


def test_each_version_of_chat_gets_what_it_takes() -> None:
    turns: list[dict[str, object]] = [{"role": "user", "content": ["Hi"]}]
    given = json.loads(chat(asked_by("v26"), None, None, turns, 5, "Be terse.", max_slice_nums=2))
    assert given == {
        "msgs": turns,
        "sampling": False,
        "system_prompt": "Be terse.",
        "num_beams": 1,
        "repetition_penalty": 1.0,
    }
    given = json.loads(chat(asked_by("o45"), None, None, turns, 5, "Be terse."))
    system = {"role": "system", "content": ["Be terse."]}
    assert given == {"msgs": [system, *turns], "do_sample": False, "most": 5}
    with pytest.raises(ValueError, match="NoneType in place of text"):
        chat(asked_by("silent"), None, None, turns, 5)
    assert takes_messages(asked_by("v26")) and not takes_messages(object())


@pytest.mark.trainer
def test_scores_are_the_trainer_s_own() -> None:
    """The same numbers as its metric gives for the ids of these texts."""
    import numpy as np
    from llamafactory.train.sft.metric import ComputeSimilarity
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import EvalPrediction, PreTrainedTokenizerFast

    answers, labels = ["a cat on a mat", "", "一只猫"], ["a cat sat on the mat", "a dog", "一只黑猫"]
    letters = sorted({letter for text in answers + labels for letter in text})
    raw = Tokenizer(models.WordLevel({"<pad>": 0} | {each: number + 1 for number, each in enumerate(letters)}, "<pad>"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>")
    tokenizer.convert_tokens_to_string = "".join
    tokenizer.batch_decode = lambda rows, **_: ["".join(letters[each - 1] for each in row if each) for row in rows]
    wide = max(map(len, answers + labels))
    ids = [[letters.index(letter) + 1 for letter in text] + [-100] * (wide - len(text)) for text in answers + labels]
    given = EvalPrediction(predictions=np.array(ids[:3]), label_ids=np.array(ids[3:]))
    expected = ComputeSimilarity(tokenizer=tokenizer)(given)
    assert scores(answers, labels) == {f"predict_{name}": value for name, value in expected.items()}


@pytest.mark.trainer
def test_a_model_of_its_own_code_answers_each_row(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Real loading, sampling and scoring; the model's chat says what it was shown."""
    rows = [
        {
            "messages": [
                {"role": "system", "content": "Be terse."},
                {"role": "user", "content": "<image>\nWhat is it?"},
                {"role": "assistant", "content": "A dog."},
                {"role": "user", "content": "And <image>?"},
                {"role": "assistant", "content": "A cat."},
            ],
            "images": ["dog.jpg", "cat.jpg"],
            "videos": [],
        },
        {
            "messages": [
                {"role": "user", "content": "<video>What happens?"},
                {"role": "assistant", "content": "It turns grey."},
            ],
            "images": [],
            "videos": ["held.mp4"],
        },
    ]
    entry = {
        "file_name": "held.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images", "videos": "videos"},
        "tags": TAGS,
    }
    settings = {
        "model_name_or_path": "own",
        "template": "minicpm_v",
        "trust_remote_code": True,
        "eval_dataset": "held",
        "media_dir": ".",
        "video_fps": 1.0,
        "video_maxlen": 4,
        "image_max_pixels": 10000,
        "use_cpu": True,
    }
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    file = project(
        {
            "train.yaml": json.dumps(settings),
            "held.json": json.dumps(rows),
            "dataset_info.json": json.dumps({"data": entry | {"file_name": "data.json"}, "held": entry}),
        }
    )
    make_clip(Path("held.mp4"), frames=30)
    make_own_model(Path("own"), Path("out"))
    assert main(["evaluate", str(file), "--sample", "0", "--no-base", "--max-new-tokens", "7"]) == 0
    found = json.loads(Path("out/evaluation/evaluation.json").read_text())
    assert found["asked_by"] == {"tuned": "the model's own chat"}
    with Image.open("dog.jpg") as dog:
        width, height = dog.size
    scale = (10000 / (width * height)) ** 0.5
    shown = f"image {int(width * scale)}x{int(height * scale)}"
    told = {row["row"]: row["tuned"] for row in found["rows"]}
    assert told[0] == (
        f"system: Be terse. | user: {shown}, What is it? | assistant: A dog. | user: And , image 64x48, ? | "
        "slices None, ids None, at most 7"
    )
    assert told[1] == (
        "system: You are a helpful assistant. | user: image 64x48, image 64x48, image 64x48, What happens? | "
        "slices 2, ids False, at most 7"
    )
    assert {row["row"]: row["label"].strip() for row in found["rows"]} == {0: "A cat.", 1: "It turns grey."}
    assert set(found["metrics"]["tuned"]) == {f"predict_{name}" for name in ("bleu-4", "rouge-1", "rouge-2", "rouge-l")}
    assert "Asked by the model's own chat." in capfd.readouterr().out
    assert "Asked by the model" in Path("out/evaluation/sheet.html").read_text()
