"""Which columns and roles a dataset's rows use: a file must give every row the same columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from validators.model import MediaKind

if TYPE_CHECKING:
    from curate.build import Row


@dataclass(frozen=True, slots=True)
class Form:
    """The modalities in their order, whether there are tools, and the roles."""

    kinds: tuple[MediaKind, ...] = ()
    tools: bool = False
    roles: frozenset[str] = frozenset()

    def including(self, row: Row) -> Form:
        """The form of these rows and one more."""
        kinds = {*self.kinds, *(kind for kind, _ in row.media)}
        roles = {turn.role for turn in row.turns}
        tools = self.tools or row.tools is not None
        if len(kinds) == len(self.kinds) and roles <= self.roles and tools == self.tools:
            return self
        return Form(tuple(kind for kind in MediaKind if kind in kinds), tools, self.roles | roles)
