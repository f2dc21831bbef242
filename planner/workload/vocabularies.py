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
    lines = (line.split() for line in path.read_bytes().splitlines())
    return pattern, {base64.b64decode(token): int(rank) for token, rank in lines}


def _tekken(path: Path) -> tuple[str, dict[bytes, int]]:
    """Mistral's own format: a pattern and tokens by rank, more of them than are in use."""
    facts = json.loads(path.read_bytes())
    config = facts["config"]
    used = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(each["token_bytes"]): each["rank"] for each in facts["vocab"][:used]}
    return config["pattern"], ranks
