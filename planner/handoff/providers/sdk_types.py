"""A vendor's own request types, made into a check of the very bytes that will be sent.

The SDKs describe requests as TypedDicts for the type checker; nothing in them looks at a
request when the program runs, so a typing error costs a whole batch. pydantic reads the same
types. Two changes make them a check: what is declared as any iterable must be a list (pydantic
would look at its items only when somebody iterates), and a key that the type does not have is
an error, as it is at the vendor's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SHOWN = 3


def checker(type_: Any) -> Callable[[bytes], str | None]:
    """Says what is wrong with JSON by a TypedDict of an SDK; None: nothing is."""
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator, ValidationError

    validator = SchemaValidator(_exact(TypeAdapter(type_).core_schema))

    def check(body: bytes) -> str | None:
        try:
            validator.validate_json(body, strict=True)
        except ValidationError as error:
            return _said(error)
        return None

    return check


def _exact(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_exact(each) for each in schema]
    if isinstance(schema, tuple):
        return tuple(_exact(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    made = {key: _exact(each) for key, each in schema.items()}
    if made.get("type") == "generator":
        made["type"] = "list"
    elif made.get("type") == "typed-dict":
        made["extra_behavior"] = "forbid"
    return made


def _said(error: Any) -> str:
    """The first few mismatches; of the members of a union those that got furthest."""
    found = error.errors(include_url=False, include_input=False)
    deepest = max(len(each["loc"]) for each in found)
    kept = found
    if len(found) > MAX_SHOWN:
        kept = [each for each in found if len(each["loc"]) == deepest]
    said = [f"{'.'.join(map(str, each['loc']))}: {_lower(each['msg'])}" for each in kept]
    more = f" (and {len(said) - MAX_SHOWN} more)" if len(said) > MAX_SHOWN else ""
    return f"by the vendor's own types, {'; '.join(said[:MAX_SHOWN])}{more}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
