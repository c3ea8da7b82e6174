"""Advice holds: at the value that it names nothing is cut, and one step beyond something is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import Overlay
from validators.engine import CheckOptions, check
from validators.replay.advice import KNOBS, KnobAdvice, cutoffs

Project = Callable[[Overlay], Path]
CUT = {"BUD202", "BUD204"}


def picture_row(question: str, answer: str = "It is one.", **media: list[str]) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **media}


ROWS = [
    picture_row("<image>What is it?", images=["dog.jpg"]),
    picture_row("Look at these, please: <image> and <image>", images=["dog.jpg", "cat.jpg"]),
    picture_row("<video>What happens?", videos=["clip.mp4"]),
    picture_row("Long, and no picture. " * 30),
    {
        "messages": [
            *picture_row("<image>First.", "A long answer. " * 12)["messages"],  # type: ignore[misc]
            *picture_row("And <image> this?")["messages"],  # type: ignore[misc]
        ],
        "images": ["cat.jpg", "dog.jpg"],
    },
]


def knobs_of(project: Project, train: str) -> dict[str, KnobAdvice]:
    path = project({"data.json": json.dumps(ROWS), "train.yaml": train})
    return {advice.knob: advice for advice in check(path).knobs}


@pytest.mark.parametrize("template", ["qwen2_vl", "minicpm_v"])
@pytest.mark.parametrize("knob", ["image_max_pixels", "video_maxlen", "video_fps", "video_max_pixels"])
def test_a_media_limit_is_the_largest_that_cuts_nothing(template: str, knob: str, project: Project) -> None:
    """The named value cuts no medium of its kind, the next step cuts one; rows of text alone do not count."""
    kind = "image" if knob.startswith("image") else "video"
    rows = [row for row in ROWS if f"{kind}s" in row] + [ROWS[3]]
    limit = 420 if kind == "image" else 200
    train = f"template: {template}\ncutoff_len: {limit}\nvideo_maxlen: 60\nvideo_fps: 20.0\nvideo_max_pixels: 300000\n"
    if kind == "image":
        train += "image_max_pixels: 900000\n"
    data = json.dumps(rows)
    found = {advice.knob: advice for advice in check(project({"data.json": data, "train.yaml": train})).knobs}
    advice = found[knob]
    if advice.largest is None:
        # one overview of MiniCPM, or the least that Qwen2-VL's processor makes of some frames, is too long already
        assert (template, knob) != ("qwen2_vl", "image_max_pixels")
        return
    unit = next(item.unit for item in KNOBS if item.name == knob)
    for value, cuts in ((advice.largest, False), (round(advice.largest + unit, 2), True)):
        text = "\n".join(line for line in train.splitlines() if not line.startswith(knob))
        number = value if unit < 1 else int(value)
        report = check(project({"data.json": data, "train.yaml": f"{text}\n{knob}: {number}\n"}))
        seen = {finding.code for finding in report.findings} & CUT
        assert advice.unlimited or bool(seen) is cuts, (value, report.findings)


def test_limits_are_advised_where_media_are_cut_or_on_request(project: Project) -> None:
    """Without a cut there is no second pass; --advise asks for one."""
    path = project({"data.json": json.dumps(ROWS)})
    assert check(path).knobs == ()
    asked = {advice.knob: advice for advice in check(path, CheckOptions(advise=True)).knobs}
    assert set(asked) == {"image_max_pixels", "video_maxlen", "video_fps", "video_max_pixels"}
    assert all(advice.largest and advice.largest >= advice.current for advice in asked.values())


def test_slices_are_a_limit_of_minicpm_alone(project: Project) -> None:
    """max_slice_nums belongs to its processor."""
    train = "cutoff_len: 250\nimage_max_pixels: 4000000\n"
    assert "max_slice_nums" not in knobs_of(project, "template: qwen2_vl\n" + train)
    assert knobs_of(project, "template: minicpm_v\n" + train)["max_slice_nums"].current == 9


def test_a_limit_that_nothing_mends_is_said_to_be_none(project: Project) -> None:
    """Text alone fills the limit before the picture comes."""
    row = picture_row("Long before the picture. " * 40 + "<image>", images=["dog.jpg"])
    path = project({"data.json": json.dumps([row]), "train.yaml": "cutoff_len: 60"})
    advice = next(item for item in check(path).knobs if item.knob == "image_max_pixels")
    assert advice.largest is None


def test_percentiles_leave_that_many_rows_whole() -> None:
    """At the cutoff_len named for 95 percent at least 95 of 100 rows fit, and one token less does not do."""
    rng = random.Random(5)
    for count in (1, 2, 19, 20, 21, 100, 333):
        totals = [rng.randrange(10, 5000) for _ in range(count)]
        for advice in cutoffs(totals, 1):
            fit = sum(total <= advice.cutoff_len - 1 for total in totals)
            fewer = sum(total <= advice.cutoff_len - 2 for total in totals)
            assert fit * 100 >= advice.percent * count > fewer * 100
    assert cutoffs([], 0) == []
