"""Which requests their tokens bound: what a vendor charges beside them has no ceiling here.

A row's ceiling is its prompt and its longest answer at the plan's rates. Whatever lets a vendor
read more than was sent (results of its own searches, an earlier conversation), answer in another
unit (a search, an hour of a container, sound) or at another speed breaks it. So every key of a
request and every kind of tool is looked up in a vendor's list of what is bounded, and what is not
in it is refused. A list of what is not bounded was rejected: the next library adds a key to
requests, and it would go out under an unchanged cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS: Final = "tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """What of a request costs its own tokens and nothing else."""

    keys: frozenset[str]
    tools: tuple[str, ...]
    """Beginnings of the kinds of tools that whoever asked carries out, not the vendor."""

    def beyond(self, body: Mapping[str, Any]) -> str | None:
        """What of a request, or of some of its parameters, is not bounded; None: nothing is."""
        for key in body:
            if key != TOOLS and key not in self.keys and body[key] is not None:
                return f"{key}: nothing bounds what the vendor may charge for it"
        tools = body.get(TOOLS)
        kinds = [each.get("type") for each in _mappings(tools)]
        for kind in kinds:
            if isinstance(kind, str) and not kind.startswith(self.tools):
                return (
                    f"a tool of the kind {kind}: the vendor may charge for its use and for what "
                    "it reads there, and nothing bounds that"
                )
        return None


def _mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; what is no list is for the vendor's own types to refuse."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
