"""The column `language`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from curate.steps import columns
from curate.steps.columns import with_columns
from curate.steps.filter import parse
from curate.steps.registry import read_steps
from curate.steps.step import Surroundings
from tests.curate.steps.scaffold import frame, row
from validators.errors import UsageFault

NOWHERE = Surroundings(Path("/nonexistent"))
SAID = {
    "en": "The sign says STOP in red letters on a white ground.",
    "zh": "图中有一个写着 STOP 的红色标志。",
    "ja": "猫がマットの上に座っています。",
    "ko": "고양이가 매트 위에 앉아 있습니다.",
    "de": "Eine graue Katze sitzt auf der Matte vor dem Haus.",
    "fr": "Un chat est assis sur le tapis devant la fenêtre.",
    "es": "El gato está sentado en la alfombra y mira por la ventana.",
    "pt": "O gato está sentado no tapete e não olha para a janela.",
    "it": "Un gatto è seduto sul tappeto davanti alla finestra.",
    "nl": "De kat zit op de mat en kijkt uit het raam naar de vogels.",
    "pl": "Kot siedzi na dywanie i patrzy przez okno na ptaki.",
    "tr": "Kedi paspasın üzerinde oturuyor.",
    "ru": "Кошка сидит на коврике и смотрит в окно на птиц, которые летают.",
    "uk": "Кішка сидить на килимку й дивиться у вікно на птахів.",
    "ar": "قطة تجلس على السجادة.",
    "hi": "बिल्ली चटाई पर बैठी है।",
    "th": "แมวนั่งอยู่บนเสื่อ",
    "vi": "Con mèo ngồi trên tấm thảm.",
    "el": "Η γάτα κάθεται στο χαλί.",
    "he": "החתול יושב על המחצלת",
}
NOTHING = ["", "  ", "ok", "12345 67", "😀😀", "<div><p></p></div>", "https://example.com/a/b.html", "STOP"]


def told(answers: Sequence[str], column: str = "answer_language") -> list[str | None]:
    rows = frame([row(number, answer, images=["a.jpg"]) for number, answer in enumerate(answers)])
    return with_columns(rows, [column], NOWHERE)[column].to_list()


def test_sentences_are_of_their_language() -> None:
    assert told(list(SAID.values())) == list(SAID)


def test_what_says_too_little_is_of_none() -> None:
    assert told(NOTHING) == [None] * len(NOTHING)


def test_each_row_is_told_by_itself() -> None:
    """In any order, alone or in a batch."""
    texts = [*SAID.values(), *NOTHING]
    assert [told([text])[0] for text in texts] == told(texts) == told(texts[::-1])[::-1]


def test_user_and_assistant_count_and_a_system_prompt_does_not() -> None:
    value = row(0, "是的，一只猫坐在垫子上，看着窗外。")
    value["messages"] = [
        {"role": "system", "content": "You are a helpful assistant and answer every question in the user's language."},
        {"role": "user", "content": "<image>图里有什么？"},
        value["messages"][-1],
    ]
    assert with_columns(frame([value]), ["language"], NOWHERE)["language"].to_list() == ["zh"]


def test_it_filters_and_stratifies() -> None:
    rows = frame([row(number, SAID[code]) for number, code in enumerate(["en", "zh", "de", "zh"])])
    passed = parse("steps", "answer_language IN ('zh', 'de')")(rows, NOWHERE)
    assert passed.rows["row"].to_list() == [1, 2, 3]
    assert read_steps("steps", [{"split": {"eval": 0.1, "stratify": "language"}}])


@pytest.mark.parametrize("step", [{"filter": "language = 'en'"}, {"split": {"eval": 0.1, "stratify": "language"}}])
def test_without_the_library_the_recipe_says_what_to_install(
    step: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read; columns that do not need it go on."""
    monkeypatch.setattr(columns, "find_spec", lambda _: None)
    with pytest.raises(UsageFault, match=r"mmcurate\[language\]"):
        read_steps("steps", [step])
    assert read_steps("steps", [{"filter": "answer_chars > 3"}])


def test_nothing_is_loaded_before_it_is_asked() -> None:
    import subprocess

    code = "import curate.steps.registry, sys; print([name for name in sys.modules if name.startswith('py3langid')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
