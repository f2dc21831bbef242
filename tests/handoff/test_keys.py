"""Keys are found, and printed nowhere: neither whole, nor a piece, nor through a library."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import sys
import traceback
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import VendorError
from planner.handoff import keys
from planner.handoff.keys import HIDDEN, PIECE, Key, Secret

SENTINEL = "sk-ant-api03-S3nt1nelS3nt1nelS3nt1nelS3nt1nel-AbCdEf"
LETTERS = st.characters(codec="ascii", categories=["Ll", "Lu", "Nd"])


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    kept: dict[tuple[str, str], str] = {}
    library = ModuleType("keyring")
    library.__spec__ = copy.copy(logging.__spec__)
    library.get_password = lambda service, name: kept.get((service, name))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", library)
    return kept


def test_the_first_variable_wins_then_the_keyring(keyring: dict[tuple[str, str], str]) -> None:
    names = ("A_KEY", "B_KEY")
    assert keys.find("v", names, {"B_KEY": " two ", "A_KEY": ""}) == Key(
        secret=Secret("two"), found_in="B_KEY"
    )
    assert keys.find("v", names, {}) is None
    keyring["planner", "v"] = "three"
    assert keys.find("v", names, {}) == Key(secret=Secret("three"), found_in="keyring")
    assert keys.find("v", names, {"A_KEY": "one"}) == Key(secret=Secret("one"), found_in="A_KEY")


def test_a_keyring_that_does_not_open_holds_no_key(
    keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_service: str, _name: str) -> str:
        raise RuntimeError("locked")

    monkeypatch.setattr(sys.modules["keyring"], "get_password", locked)
    assert keys.find("v", ("A_KEY",), {}) is None


def test_without_a_key_it_is_said_where_one_is_looked_for() -> None:
    with pytest.raises(VendorError) as refused:
        keys.need("v", "The Vendor", ("V_API_KEY",))
    assert "set V_API_KEY" in refused.value.render()


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(SENTINEL)
    key = Key(secret=secret, found_in="X")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>10}", repr(key), repr([key])]
    shown += traceback.format_exception(ValueError(secret))
    assert not [text for text in shown if SENTINEL[-8:] in text]
    assert secret.reveal() == SENTINEL
    for written in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not written"):
            written(secret)


@given(
    secret=st.text(LETTERS, min_size=PIECE, max_size=60),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    ends=st.tuples(st.integers(0, 52), st.integers(PIECE, 60)),
)
def test_no_piece_of_a_key_is_left(
    secret: str, before: str, after: str, ends: tuple[int, int]
) -> None:
    piece = secret[ends[0] : ends[0] + ends[1]]
    left = keys.redacted(f"{before}{piece}{after}", [Secret(secret)])
    rest = left.replace(HIDDEN, "\0")
    assert not [at for at in range(len(secret) - PIECE + 1) if secret[at : at + PIECE] in rest]


@given(text=st.text(max_size=80))
def test_a_text_without_a_key_stays_as_it_is(text: str) -> None:
    assert (
        keys.redacted(text, [Secret("\0never\0in\0a\0text")]) == text
        or "\0" in text
        or (HIDDEN in keys.redacted(text))
    )


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect API key provided: sk-proj-********************abcd.",
        "headers: {'authorization': 'Bearer abcdef123456'}",
        "invalid x-api-key sk-ant-api03-zzzzzzzzzzz-AA",
    ],
)
def test_what_looks_like_a_key_is_hidden_though_nobody_knows_it(said: str) -> None:
    left = keys.redacted(said)
    assert HIDDEN in left
    assert not [piece for piece in ("abcd", "abcdef", "zzzz") if piece in left]


def test_libraries_log_no_row_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    library, child = logging.getLogger("a_library"), logging.getLogger("a_library._client")
    library.setLevel(logging.DEBUG)
    child.setLevel(logging.DEBUG)
    keys.tame(("a_library",), [Secret(SENTINEL)])
    child.debug("Request: %s", {"prompt": "the text of a row"})
    child.warning("refused with %s and %s", SENTINEL, {"x": SENTINEL[10:30]})
    child.error("failed", exc_info=ValueError(SENTINEL))
    told = stream.getvalue()
    assert "refused with" in told
    assert "the text of a row" not in told
    assert not [at for at in range(13, len(SENTINEL) - 8) if SENTINEL[at : at + 8] in told]


def test_taming_twice_keeps_what_it_hid_first(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(stream)])
    keys.tame(("a_library",), [Secret("first-very-secret")])
    keys.tame(("another",), [Secret("other-very-secret")])
    logging.getLogger("a_library").error("first-very-secret other-very-secret")
    assert stream.getvalue().count(HIDDEN) == 2
