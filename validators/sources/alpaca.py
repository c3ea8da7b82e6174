"""`formatting: alpaca`: a question, an optional input, an answer and earlier pairs, each in a column.

Source: llamafactory 0.9.5, data/converter.py: AlpacaDatasetConverter. An answer that is no text leaves the row without
one, and the processor drops it; a question that is no text is a TypeError.
"""

from __future__ import annotations

from collections.abc import Mapping

from validators.model import Role
from validators.sources.aligner import Aligner, storable
from validators.sources.batch import Shape


class Alpaca(Aligner):
    """Turns are numbered through: two for each earlier pair, then question and answer."""

    def align(self, row: int, value: Mapping[str, object]) -> int:
        """The row's columns as turns."""
        columns = self.entry.columns
        system = columns["system"]
        self.add_system(row, -1, value.get(system) if system else "", system or "system")
        turn = self.add_history(row, value)
        parts = []
        for key in ("prompt", "query"):
            column = columns[key]
            part = value.get(column) if column else None
            if part and not isinstance(part, str):
                self.fault(Shape.QUESTION_NOT_TEXT, row, str(column), part)
            elif isinstance(part, str) and part:
                parts.append(part)
        self.add_turn(row, turn, Role.USER, "\n".join(parts), columns["prompt"] or columns["query"] or "")
        answer = value.get(columns["response"]) if columns["response"] else None
        if not isinstance(answer, str):
            self.fault(Shape.ANSWER_NOT_TEXT, row, columns["response"] or "", answer)
            return turn + 1
        self.add_turn(row, turn + 1, Role.ASSISTANT, answer, columns["response"] or "")
        return turn + 2

    def add_history(self, row: int, value: Mapping[str, object]) -> int:
        """Earlier pairs; returns the number of turns they make."""
        column = self.entry.columns["history"]
        history = value.get(column) if column else None
        if not isinstance(history, list):
            return 0
        for number, pair in enumerate(history):
            if not isinstance(pair, list | str) or len(pair) != 2:
                self.fault(Shape.QUESTION_NOT_TEXT, row, f"{column}[{number}]", pair)
                continue
            for side, role in enumerate((Role.USER, Role.ASSISTANT)):
                place = f"{column}[{number}][{side}]"
                if not isinstance(pair[side], str):
                    self.fault(Shape.CONTENT_NOT_TEXT, row, place, pair[side])
                self.add_turn(row, 2 * number + side, role, pair[side], place)
        return 2 * len(history)

    def add_turn(self, row: int, turn: int, role: Role, content: object, place: str) -> None:
        """One turn at its place."""
        text = storable(content) if isinstance(content, str) else None
        self.turns.append((row, turn, turn, role.value, text, False, role.value, True, place))
