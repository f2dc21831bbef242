"""Notations that flags, job files and catalog questions share: a day, a whole number.

Apart from `job` so that a question about a price reads its flags without what a job needs.
"""

from __future__ import annotations

import re
from datetime import date

from planner.errors import InputError


def day(text: str, flag: str = "--as-of") -> date:
    """A date, YYYY-MM-DD; InputError otherwise."""
    try:
        # Ordinal days and week dates are ISO as well, and nobody means them here.
        return date.fromisoformat(text if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else "")
    except ValueError:
        raise unreadable(flag, text, "a date such as 2026-11-22") from None


def whole(text: str, flag: str, *, least: int = 1) -> int:
    """A whole number, `12480`, `12_480` or `12,480`; InputError otherwise."""
    digits = text.replace(",", "").replace("_", "")
    if not digits.isdecimal() or int(digits) < least:
        raise unreadable(flag, text, f"a whole number of at least {least}")
    return int(digits)


def unreadable(flag: str, text: str, wanted: str) -> InputError:
    """The error of a flag whose value is not in its notation."""
    return InputError.of("bad-option", f"{flag} {text!r} cannot be read", hint=f"give {wanted}")
