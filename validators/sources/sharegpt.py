"""`formatting: sharegpt`: lists of turns with a role and a text each.

Source: llamafactory 0.9.5, data/converter.py: SharegptDatasetConverter. A key that only some rows lack is None there
(Arrow fills it); a key that no row has is a KeyError, which the dataset-wide census tells apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from validators.sources.aligner import Aligner, storable
from validators.sources.batch import Shape


class ShareGpt(Aligner):
    """Roles are compared as they stand with the tags that are accepted at even and at odd places."""

    def align(self, row: int, value: Mapping[str, object]) -> int:
        """The row's messages and its system column."""
        messages = self.messages(row, value)
        if messages is None:
            return 0
        lead = self.leads(messages)
        if not lead:
            self.census.unled += 1
            column = self.system_column
            self.add_system(row, -1, value.get(column) if column else "", column or "system")
        misfit = False
        for turn, message in enumerate(messages):
            place = f"{self.column}[{turn}]"
            if not isinstance(message, Mapping):
                if not misfit:
                    self.fault(Shape.MESSAGE_NOT_OBJECT, row, place, message)
                misfit = True
                continue
            self.census.message_keys.update(message.keys())
            role = message.get(self.role_key) if self.role_key is not None else None
            content = message.get(self.content_key) if self.content_key is not None else None
            role_text = storable(role) if isinstance(role, str) else None if role is None else str(role)
            self.census.roles[str(role_text)] += 1
            if turn == 0 and lead:
                self.add_system(row, 0, content, f"{place}.{self.content_key}")
                continue
            pos = turn - lead
            fits = not isinstance(role, bool | int | float) and role in self.accepted[pos % 2]
            misfit |= not fits
            if not isinstance(content, str) and (self.content_key in message):
                self.fault(Shape.CONTENT_NOT_TEXT, row, f"{place}.{self.content_key}", content)
            canon = self.names.get(role) if isinstance(role, str) or role is None else None
            text = storable(content) if isinstance(content, str) else None
            self.turns.append((row, turn, pos, role_text, text, False, canon, fits, None))
        return len(messages)

    def leads(self, messages: list[object]) -> bool:
        """Whether the first message is the system's, which then overrides the column."""
        first = messages[0] if messages else None
        if not self.system_tag or not isinstance(first, Mapping) or self.role_key is None:
            return False
        return first.get(self.role_key) == self.system_tag
