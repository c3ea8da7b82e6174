"""The support table: whether a family trains with one llamafactory on one transformers, and how that is known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from validators.llamafactory.environment.families import ModelFamily
from validators.llamafactory.generated import has_class, tabled
from validators.llamafactory.trainer import Trainer

TABLE = Path(__file__).with_name("support.json")
BRANCHES: Mapping[str, str] = {"main": "0.9.6.dev0"}
"""Sources that the table names by their branch → what they call themselves (extras/env.py: VERSION)."""


class Support(StrEnum):
    """What becomes of a family under one trainer."""

    TRAINS = "trains"
    FAILS = "fails"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportCell:
    """One family under one trainer, as support.json (made by scripts/support) holds it."""

    family: str
    trainer: Trainer
    result: Support
    words: str = ""
    """The error's last line for a failure; why nobody ran it, for a cell that was not run."""
    stage: str = ""
    """Where it failed: arguments, tokenizer and processor, preprocessing, model, step."""
    fails_on: Mapping[str, str] = field(default_factory=dict)
    """Words by modality (text, image, video, audio), where the family trains on another one."""
    revision: str = ""
    """Of a model's own code, where it is not the newest published one: which was run."""
    evidence: str = ""
    source: str = ""

    @property
    def ran(self) -> bool:
        """Whether somebody ran it."""
        return self.result is not Support.NOT_RUN


@cache
def support_cells() -> Mapping[tuple[str, Trainer], SupportCell]:
    """The table's cells, by family and trainer."""
    found = {}
    for entry in json.loads(TABLE.read_text(encoding="utf-8"))["cells"]:
        llamafactory = BRANCHES.get(entry["llamafactory"], entry["llamafactory"])
        trainer = Trainer(llamafactory=llamafactory, transformers=entry["transformers"])
        rest = {key: value for key, value in entry.items() if key not in ("llamafactory", "transformers", "result")}
        found[entry["family"], trainer] = SupportCell(trainer=trainer, result=Support(entry["result"]), **rest)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a run's model trains under a trainer."""

    result: Support
    words: str = ""
    """The trainer's, for a failure."""
    stage: str = ""
    """Where it failed, as in SupportCell."""
    family: str = ""
    ran: Trainer | None = None
    """The trainer that was run, where it is not the one that was asked for: the nearest in version."""
    revision: str = ""
    """As in SupportCell."""

    @property
    def fails(self) -> bool:
        """Whether it is known to fail: with these very versions, and the newest code of the model's own."""
        return self.result is Support.FAILS and self.ran is None and not self.revision

    @property
    def doubtful(self) -> bool:
        """Whether it failed with near versions, or with other code of the model's own."""
        return self.result is Support.FAILS and not self.fails

    def doubt(self, model: str, there: str) -> str:
        """What is known of a model whose failure is doubtful, and how; there: the run's environment, in words."""
        if self.ran is not None:
            return f'{model} was not run with {there}; with {self.ran.words()}: "{self.words}"'
        return f'{model}, code {self.revision}, fails with {there}: "{self.words}"; other code of it may train'


def verdict(
    families: Sequence[ModelFamily], config: Mapping[str, object], trainer: Trainer, media: frozenset[str] = frozenset()
) -> Verdict:
    """What the table says of a run's model, which is of one of these families; media: the kinds of media in its data.

    Of families that nothing tells apart, the model fails only where each of them does. A model type that transformers
    has no class for fails too, unless the repository brings the class.
    """
    if config and not config.get("auto_map") and isinstance(said := config.get("model_type"), str):
        missing = without_class(said, trainer)
        if missing is not None:
            return missing
    found = [of_family(family, trainer, media) for family in families]
    for result in (Support.TRAINS, Support.NOT_RUN, Support.FAILS):
        for each in found:
            if each.result is result:
                return each
    return Verdict(result=Support.NOT_RUN)


def of_family(family: ModelFamily, trainer: Trainer, media: frozenset[str]) -> Verdict:
    """One family's cell: the very one, else that of the nearest trainer that was run, else whether there is a class."""
    cell = support_cells().get((family.name, trainer))
    if cell is not None and cell.ran:
        return judged(cell, media, None)
    if not family.own_code and family.model_types:
        missing = [without_class(each, trainer) for each in family.model_types]
        if all(missing) and missing[0] is not None:
            return missing[0]
    near = nearest_run(family.name, trainer)
    if near is None:
        return Verdict(result=Support.NOT_RUN, family=family.name)
    return judged(near, media, near.trainer)


def judged(cell: SupportCell, media: frozenset[str], ran: Trainer | None) -> Verdict:
    """A cell's answer for data with these media."""
    failing = next((words for kind, words in sorted(cell.fails_on.items()) if kind in media), None)
    if cell.result is Support.TRAINS and failing is not None:
        result, words, stage = Support.FAILS, failing, cell.stage or "step"
    else:
        result, words, stage = cell.result, without_commands(cell.words), cell.stage
    return Verdict(result=result, words=words, stage=stage, family=cell.family, ran=ran, revision=cell.revision)


def without_commands(words: str) -> str:
    """A failure's words without the pip commands that it recommends: they know nothing of the locked versions."""
    kept = [sentence for sentence in re.split(r"(?<=[.!?]) ", words) if "pip install" not in sentence]
    return " ".join(kept) or words.split(": pip install", maxsplit=1)[0]


def without_class(model_type: str, trainer: Trainer) -> Verdict | None:
    """The failure of a model type that this transformers is known to have no class for; None for any other."""
    if has_class(model_type, trainer) is not False:
        return None
    first = next((known.transformers for known in tabled() if has_class(model_type, known)), "")
    since = f"; {first} has one" if first else ""
    return Verdict(
        result=Support.FAILS, words=f"transformers {trainer.transformers} has no class for {model_type}{since}"
    )


def nearest_run(family: str, trainer: Trainer) -> SupportCell | None:
    """The family's cell that was run with the nearest transformers of the same major release; None where none was.

    An older one goes before a newer one, and one with the same llamafactory before any other.
    """
    from packaging.version import Version

    wanted = Version(trainer.transformers)

    def distance(cell: SupportCell) -> tuple[bool, bool, int, int]:
        """How far a cell is from what was asked for."""
        has = Version(cell.trainer.transformers)
        minors, patches = wanted.minor - has.minor, wanted.micro - has.micro
        return cell.trainer.llamafactory != trainer.llamafactory, has > wanted, abs(minors), abs(patches)

    found = [
        cell
        for (name, known), cell in support_cells().items()
        if name == family and cell.ran and Version(known.transformers).major == wanted.major
    ]
    return min(found, key=distance, default=None)
