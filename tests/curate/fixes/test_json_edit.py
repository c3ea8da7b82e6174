"""The editor of JSON texts: the new value is there, and nothing else has changed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.fixes.json_edit import CannotEdit, edited
from curate.fixes.json_text import parse, same, spelling


def edit(text: str, value: object, lead: str = "") -> str:
    return edited(text, parse(text), value, lead)


PRETTY = """{
    "id": 1.50,
    "images": "a\\/b.jpg",
    "messages": [
        {
            "role": "user"
        }
    ]
}"""


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ('{"id":1,"images":"a.jpg"}', {"id": 1, "images": ["a.jpg"]}, '{"id":1,"images":["a.jpg"]}'),
        ('{"a":1, "b":2,"c":3}', {"a": 1, "b": 2}, '{"a":1, "b":2}'),
        ('{"a":1, "b":2,"c":3}', {"b": 2, "c": 3}, '{"b":2,"c":3}'),
        ('{"a":1, "b":2}', {"a": 1, "B": 2}, '{"a":1, "B":2}'),
        ('{"a":1, "b":2}', {"a": 1, "b": 2, "c": []}, '{"a":1, "b":2, "c":[]}'),
        ('{ "a" : [1 ,2 ,3] }', {"a": [1, 3]}, '{ "a" : [1 ,3] }'),
        ('{"a": [1]}', {"a": []}, '{"a": []}'),
        ('{"a": []}', {"a": [1, 2]}, '{"a": [1, 2]}'),
        ('{"a":[]}', {"a": [1, 2]}, '{"a":[1,2]}'),
        ('{"c": "\\u4e2d<image>"}', {"c": "中é"}, '{"c": "\\u4e2d\\u00e9"}'),
        ('{"c": "中<image>\\u6587"}', {"c": "é中<image>文"}, '{"c": "é中<image>\\u6587"}'),
        ('{"c": "\\ud83d\\ude00<image>x"}', {"c": "😀x"}, '{"c": "\\ud83d\\ude00x"}'),
        ('{"c": "x", "e": 1e3}', {"c": "y\ud800", "e": 1e3}, '{"c": "y\\ud800", "e": 1e3}'),
        ('{"p": "a\\/b"}', {"p": "a/c/d"}, '{"p": "a\\/c\\/d"}'),
    ],
)
def test_only_what_is_new_is_written_in_the_manner_of_the_rest(text: str, value: object, wanted: str) -> None:
    assert edit(text, value) == wanted


def test_indented_text_grows_indented() -> None:
    value = {"id": 1.5, "images": ["a/b.jpg", "c"], "messages": [{"role": "user", "content": "x"}]}
    text = edit(PRETTY, value)
    assert '"id": 1.50,\n    "images": [\n        "a\\/b.jpg",\n        "c"\n    ],' in text
    assert text.endswith('        {\n            "role": "user",\n            "content": "x"\n        }\n    ]\n}')


def test_indented_rows_of_an_array_count_from_the_rows_own_indentation() -> None:
    text = PRETTY.replace("\n", "\r\n    ")
    value = {"id": 1.5, "images": ["a/b.jpg"], "messages": [{"role": "user"}]}
    wanted = text.replace('"a\\/b.jpg"', '[\r\n            "a\\/b.jpg"\r\n        ]')
    assert edit(text, value, "    ") == wanted


def test_short_lists_among_indented_objects_stay_short() -> None:
    text = '{\n  "a": ["x"],\n  "images": "y"\n}'
    assert edit(text, {"a": ["x"], "images": ["y"]}) == '{\n  "a": ["x"],\n  "images": ["y"]\n}'


def test_a_key_that_is_written_twice_is_left_alone() -> None:
    with pytest.raises(CannotEdit):
        edit('{"a": 1, "a": 2}', {"a": 3})


def test_numbers_are_spelt_as_they_were() -> None:
    assert spelling(parse('{"id": 1.50}').value["id"]) == "1.50"  # type: ignore[index]
    assert spelling(10**30) == "1" + "0" * 30 and spelling(True) == "true"


words = st.text(max_size=6) | st.sampled_from(["images", "a/b", "\ud800", "é\n", "<image>"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
styles = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 1, 2, 4, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (", ", ": ")]),
    }
)


@settings(max_examples=400, deadline=None)
@given(old=values, new=values, style=styles)
def test_any_value_becomes_any_other(old: object, new: object, style: dict[str, object]) -> None:
    text = json.dumps(old, **style)  # type: ignore[arg-type]
    assert json.loads(edit(text, new)) == new
    assert edit(text, old) == text
    again = edit(edit(text, new), new)
    assert again == edit(text, new)


@settings(max_examples=200, deadline=None)
@given(rest=st.dictionaries(words, values, max_size=4), old=values, new=values, style=styles)
def test_members_beside_the_changed_one_keep_their_text(
    rest: dict[str, object], old: object, new: object, style: dict[str, object]
) -> None:
    rest.pop("x", None)
    text = json.dumps({**rest, "x": old}, **style)  # type: ignore[arg-type]
    node = parse(text)
    changed = edit(text, {**rest, "x": new})
    kept = text[: node.members[-1].node.start]
    assert changed.startswith(kept)
    assert changed.endswith(text[node.members[-1].node.end :])


@given(value=values)
def test_places_are_true(value: object) -> None:
    text = json.dumps(value, indent=1)
    assert same(parse(text).value, json.loads(text))
