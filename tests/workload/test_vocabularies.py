"""Vocabularies of installed packages count instead of a ratio; without them the ratio says so."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
import regex  # type: ignore[import-untyped]  # it has no types; tiktoken brings it

from planner.workload import encodings, vocabularies
from planner.workload.prompt import Message, Request
from planner.workload.tokens import Grade, Tally, counter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = {"mistral": "tekken", "qwen": "qwen", "deepseek": "deepseek3"}
TOKENS = [bytes([each]) for each in range(256)] + [b"ab", b"abc", b" a"]
TEXT = "abc ab 12"


def tekken() -> bytes:
    unused = [*TOKENS, b"abcd"]
    vocab = [
        {"rank": rank, "token_bytes": base64.b64encode(token).decode()}
        for rank, token in enumerate(unused)
    ]
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+",
        "default_vocab_size": len(TOKENS) + 1000,
        "default_num_special_tokens": 1000,
    }
    return json.dumps({"config": config, "vocab": vocab}).encode()


def ranks() -> bytes:
    return b"".join(b"%s %d\n" % (base64.b64encode(each), n) for n, each in enumerate(TOKENS))


LETTERS = {b" ": "\u0120"}
"""How a `tokenizers` file writes the bytes of these tests that are not written as themselves."""


def tokenizers_file() -> bytes:
    """Ranks by token, each byte as a letter; the first tokens are special ones."""
    letters = vocabularies._bytes_as_letters()
    written = {byte: letter for letter, byte in letters.items()}
    vocab = {"".join(written[byte] for byte in token): n + 2 for n, token in enumerate(TOKENS)}
    assert written[ord(" ")] == LETTERS[b" "]
    special = [{"content": "<begin>"}, {"content": "<end>"}]
    model = {"vocab": {"<begin>": 0, "<end>": 1, **vocab}}
    return json.dumps({"added_tokens": special, "model": model}).encode()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The packages, as far as they are looked at, first on the path."""
    for name, content in {
        "tekken": tekken(),
        "qwen": ranks(),
        "deepseek3": tokenizers_file(),
    }.items():
        shipped = vocabularies.SHIPPED[name]
        path = tmp_path / shipped.module / shipped.file
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        (tmp_path / shipped.module / "__init__.py").write_text("raise ImportError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    encodings.encoding.cache_clear()
    yield tmp_path
    encodings.encoding.cache_clear()


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "installed", lambda _: None)


@pytest.mark.parametrize(("key", "own"), OWN.items())
def test_an_installed_vocabulary_counts(package: Path, key: str, own: str) -> None:
    found = counter(key, claim="exact")
    assert (found.id, found.encoding, found.grade) == (own, own, Grade.EXACT)
    assert found.text(TEXT) == len(["abc", " a", "b", " ", "1", "2"])
    assert counter(key).grade is Grade.ASSUMED
    tally = Tally(found.encoding)
    tally.add(Request(messages=(Message(role="user", content=TEXT),)))
    sizes = found.sizes(tally)
    assert sizes.low == sizes.value == sizes.high == {6: 1}


@pytest.mark.parametrize(("key", "own"), OWN.items())
def test_without_it_the_ratio_says_what_would_narrow_it(
    no_package: None, key: str, own: str
) -> None:
    found = counter(key, claim="exact")
    assert found.grade is Grade.RATIO
    assert found.narrowed_by is not None
    assert vocabularies.SHIPPED[own].package in found.narrowed_by


def test_what_is_not_installed_is_not_loaded(no_package: None) -> None:
    with pytest.raises(KeyError):
        vocabularies.load("tekken")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a12345b", ["a", "123", "45", "b"]),
        ("ab你好カナcd", ["ab", "你好カナ", "cd"]),
        ("x  7  你", ["x", "  ", "7", "  ", "你"]),
        ("x  y", ["x", " ", " y"]),
        ("'tis. ・・你", ["'tis", ".", " ", "・・", "你"]),
        ("\u200d\u200da\u0301", ["\u200d", "\u200da\u0301"]),
        ("e!\n\n z", ["e", "!\n\n", " z"]),
    ],
)
def test_three_splits_in_one(text: str, pieces: list[str]) -> None:
    """As the `tokenizers` library splits with the three patterns of DeepSeek's own file."""
    pattern = vocabularies.SHIPPED["deepseek3"].pattern
    assert pattern is not None
    assert regex.findall(pattern, text) == pieces
