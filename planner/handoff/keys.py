"""Keys: found where the vendors' own libraries look, held so that nothing prints them.

A key comes from the environment, else from the system's keyring where the `keyring` library is
there; never from a flag, a file or the ledger. Reading a `.env` file as well was rejected: it
is the file that ends up in a repository.

Vendors quote keys in errors, whole or masked, so what they say passes through `redacted` before
anybody reads it, and pieces of a key count as the key.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from planner.errors import VendorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SERVICE = "planner"
"""The name under which the keyring holds keys, one a vendor: `keyring set planner VENDOR`."""

HIDDEN = "[key hidden]"

PIECE = 8
"""This many characters in a row that a text shares with a key are a piece of it."""

_LOOKS_LIKE_ONE = re.compile(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9*._-]{6,}|\b(?:Bearer|Basic) +[A-Za-z0-9*._~+/=-]{6,}", re.IGNORECASE
)


class Secret:
    """A text that shows itself to nobody who doesn't ask for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the call to a vendor's library, and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A vendor's key, and where it was found."""

    secret: Secret
    found_in: str
    """The variable's name, or `keyring`."""


def find(
    provider: str, variables: Sequence[str], environ: Mapping[str, str] | None = None
) -> Key | None:
    """The key of a vendor from the first variable that is set, else the keyring; None: no key."""
    environ = os.environ if environ is None else environ
    for name in variables:
        if environ.get(name, "").strip():
            return Key(secret=Secret(environ[name].strip()), found_in=name)
    kept = _in_keyring(provider)
    return None if kept is None else Key(secret=Secret(kept), found_in="keyring")


def need(provider: str, name: str, variables: Sequence[str]) -> Key:
    """The key of a vendor, called `name`; VendorError (exit 4) where there is none."""
    found = find(provider, variables)
    if found is None:
        raise VendorError.of(
            "no-key",
            f"no key for {name}, so nothing can be sent to it",
            hint=f"set {variables[0]}, or keep it in the keyring: keyring set {SERVICE} {provider}",
        )
    return found


def _in_keyring(provider: str) -> str | None:
    """The keyring's password; None where there is no keyring, or it doesn't open."""
    if find_spec("keyring") is None:
        return None
    keyring = import_module("keyring")
    try:
        found = keyring.get_password(SERVICE, provider)
    except Exception:  # noqa: BLE001 -- its backends raise whatever their system raises
        return None
    return found or None


# --- what others say --------------------------------------------------------------------


def redacted(text: str, secrets: Iterable[Secret] = ()) -> str:
    """A text without any key: neither the ones given, nor pieces of them, nor the look of one."""
    for secret in secrets:
        text = _without(text, secret.reveal())
    return _LOOKS_LIKE_ONE.sub(HIDDEN, text)


def _without(text: str, secret: str) -> str:
    """A text without each stretch of PIECE or more characters that it shares with a secret."""
    if not secret:
        return text
    if len(secret) <= PIECE:
        return text.replace(secret, HIDDEN)
    pieces = {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}
    kept, at = [], 0
    while at < len(text):
        end = at
        while text[end : end + PIECE] in pieces:
            end += 1
        if end > at:
            kept.append(HIDDEN)
            at = end + PIECE - 1
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


_KNOWN: set[Secret] = set()
"""Every key that was handed to `tame`: it only ever hides more."""


class _Redacting(logging.Filter):
    """Takes keys out of whatever a library logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record through, its message redacted."""
        record.msg, record.args = redacted(record.getMessage(), _KNOWN), ()
        record.exc_info, record.exc_text = None, None
        return True


def tame(loggers: Iterable[str], secrets: Sequence[Secret] = ()) -> None:
    """Keep libraries from logging rows and keys, whatever their own variables ask for.

    Their DEBUG lines hold the whole body of a request. Call it after they are imported: they
    set their level then.
    """
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))
        for child in _children(name):
            child.setLevel(logging.NOTSET)
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None and not any(
            isinstance(each, _Redacting) for each in handler.filters
        ):
            handler.addFilter(_Redacting())
    _KNOWN.update(secrets)


def _children(name: str) -> list[logging.Logger]:
    known = logging.Logger.manager.loggerDict
    return [
        each
        for key, each in known.items()
        if key.startswith(f"{name}.") and isinstance(each, logging.Logger)
    ]
