"""OpenAI's vocabularies from ranks that travel with the package: text -> number of tokens.

`tiktoken.Encoding` is built directly from our own packed files. `tiktoken.get_encoding` was
rejected: it needs the network or a process-wide environment variable that other packages
overwrite, and on a hash mismatch it deletes the file and downloads again.

Text is encoded in bounded cells, because a run of a million spaces panics the tokenizer.
Where a cell ends before a space that follows a visible character the count is exactly that
of the whole text: both vocabularies start a new piece there. Elsewhere (a run longer than
`SEARCH`, or a script without spaces) a cut costs a token or two in `CELL` characters.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from planner.workload import vocabularies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RANKS = Path(__file__).parent / "ranks"

CELL = 100_000
"""Longest text, in characters, that is given to the tokenizer at once."""

SEARCH = 1_000
"""How far back from the end of a cell a place to cut is looked for."""

SHARED = 1_000
"""Shortest beginning or end, in characters, that is remembered from one text to the next."""

FAST_AFTER = 2_000_000
"""Characters after which a second counter is worth the half second that it takes to load."""

HARD_TEXTS = (
    "",
    " ",
    "  \n\n  x\t\r\n",
    "<|endoftext|><|im_start|>",
    "It's I'LL we'Re 1234567 3.14159 0x1F",
    "naïve café Ångström ﬁn ① ß İ",
    "合同昨天已经签署。ひらがな カタカナ 한국어",
    "договор अनुबंध العربية ไทย 👩‍👩‍👧‍👦 🇩🇪",
    "def f(x):\n    return {'a': [1, 2]}  # ok\n\n\n",
    "a\u200bb\ufeffc\u0301 \x00\x1f\ud800",
    " " * 3_000 + "x" * 3_000 + "=" * 3_000,
)
"""What tokenizers are known to disagree on."""

CountAll = Callable[[list[str]], list[int]]

_CLOSE = 64
_COUNT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """How text is split into pieces before merging, and the sha256 of the official ranks."""

    pattern: str
    sha256: str


# The patterns are those of tiktoken's openai_public.py (MIT, see NOTICE).
_WORD_START = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_WORD_END = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

VOCABULARIES: Mapping[str, Vocabulary] = {
    "o200k_base": Vocabulary(
        pattern="|".join(
            (
                f"{_WORD_START}*{_WORD_END}+{_CONTRACTION}",
                f"{_WORD_START}+{_WORD_END}*{_CONTRACTION}",
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            )
        ),
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": Vocabulary(
        pattern=(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        ),
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}


class Encoding:
    """A vocabulary that is loaded: counts the tokens of any string.

    `fast` makes a second counter of the same vocabulary, or None; it is asked for once enough
    was counted to pay for its loading, and used where it agrees with the first.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[str], list[int]],
        fast: Callable[[], CountAll | None] = lambda: None,
    ) -> None:
        self.name = name
        self.said: str | None = None
        """What has to be said of the fast counter."""
        self._encode = encode
        self._make_fast = fast
        self._fast: CountAll | None = None
        self._before_fast = FAST_AFTER

    def count(self, text: str) -> int:
        """Tokens of the text; what looks like a special token is ordinary text.

        Half a surrogate pair, which no UTF-8 request can carry, counts as the replacement
        character that stands for it on the wire.
        """
        if len(text) <= CELL:
            return len(self._encode(text))
        return sum(self._cell_counts(text))

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text: as `count` finds, in much less time once there were many."""
        if self._before_fast > 0:
            self._before_fast -= sum(map(len, texts))
            counts = list(map(self.count, texts))
            if self._before_fast <= 0:
                self._fast = self._agreeing(texts, counts)
            return counts
        return list(map(self.count, texts)) if self._fast is None else self._quickly(texts)

    def _quickly(self, texts: Sequence[str]) -> list[int]:
        assert self._fast is not None
        long = [place for place, text in enumerate(texts) if len(text) > CELL]
        short = list(texts)
        for place in long:
            short[place] = ""
        try:
            counts = self._fast(short)
        except UnicodeEncodeError:
            counts = self._fast(list(map(whole, short)))
        for place in long:
            counts[place] = self.count(texts[place])
        return counts

    def _agreeing(self, texts: Sequence[str], counts: list[int]) -> CountAll | None:
        """The fast counter, if it counts what is hard, and these texts, as this one does."""
        fast = self._make_fast()
        if fast is None:
            return None
        self._fast = fast
        tested = [*HARD_TEXTS, *texts]
        if self._quickly(tested) == [*map(self.count, HARD_TEXTS), *counts]:
            return fast
        self.said = (
            f"The fast counter was not used: it does not count {self.name} as tiktoken does."
        )
        return None

    def _cell_counts(self, text: str) -> Iterator[int]:
        """Tokens of each cell; one that equals the last, as in a run of spaces, is known."""
        last, count = "", 0
        for cell in cells(text):
            if cell != last:
                last, count = cell, len(self._encode(cell))
            yield count


def whole(text: str) -> str:
    """The text with the replacement character for each half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class RepeatingTexts:
    """Parts texts that begin or end like the one before, so that what they share is paid once.

    A template puts the same catalog or the same rules around every row: without this, a block
    of 128,000 tokens is encoded once a row. The parts count as the whole does, since texts are
    cut where no token can span.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._ends = SharedEnds()
        self._shared = lru_cache(maxsize=4)(encoding.count)

    def parted(self, text: str) -> tuple[int, str]:
        """The tokens of what the text shares with others, and what is its own, to be counted."""
        start, end = self._ends.span(text)
        if end - start == len(text):
            return 0, text
        return self._shared(text[:start]) + self._shared(text[end:]), text[start:end]


class SharedEnds:
    """What a stream of texts has in common at their beginning and their end, learned from it."""

    def __init__(self) -> None:
        self._last = self._head = self._tail = ""

    def span(self, text: str) -> tuple[int, int]:
        """Where the text's own part begins and ends; no token can span either place."""
        if len(text) < SHARED:
            return 0, len(text)
        if not (self._head and text.startswith(f"{self._head} ")):
            self._head = _shared_head(self._last, text)
        if not (self._tail and _ends_visibly_before(text, self._tail)):
            self._tail = _shared_tail(self._last, text)
        self._last = text
        start, end = len(self._head), len(text) - len(self._tail)
        return (start, end) if start <= end else (0, len(text))


def _shared_head(one: str, other: str) -> str:
    """The longest beginning that both have, up to a space after something visible."""
    if one[:SHARED] != other[:SHARED]:
        return ""
    length = common(one, other)
    place = next(
        (n for n in range(length - 1, max(SHARED, length - SEARCH) - 1, -1) if _is_cut(one, n)), 0
    )
    return one[:place]


def _shared_tail(one: str, other: str) -> str:
    """The longest end that both have, from a space after something visible."""
    if one[-SHARED:] != other[-SHARED:]:
        return ""
    length = common(one[::-1], other[::-1])
    first = len(one) - length + 1
    stop = min(len(one) - SHARED, first + SEARCH)
    place = next((n for n in range(first, stop) if _is_cut(one, n)), len(one))
    return one[place:]


def _ends_visibly_before(text: str, tail: str) -> bool:
    place = len(text) - len(tail)
    return text.endswith(tail) and place > 0 and _is_cut(text, place)


def common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _is_cut(text: str, place: int) -> bool:
    """Whether no token can span that place: a space follows something visible."""
    return text[place] == " " and not text[place - 1].isspace()


@cache
def encoding(name: str) -> Encoding:
    """The vocabulary of that name, built on first use (0.2-0.6 s) and kept: it never changes.

    Raises KeyError for a name that is neither in `VOCABULARIES` nor installed.
    """
    # The tokenizer's own import is only paid by what counts text.
    import tiktoken

    if name in VOCABULARIES:
        pattern, ranks = VOCABULARIES[name].pattern, unpack(packed_path(name).read_bytes())
    else:
        pattern, ranks = vocabularies.load(name)
    loaded = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return Encoding(name, loaded.encode_ordinary, lambda: _fast(name))


def _fast(name: str) -> CountAll | None:
    """The counter of the `fast` extra; None where that, or this vocabulary in it, is not there."""
    try:
        batch_count = import_module("toktok").batch_count
        batch_count([""], name, 1)
    except (ImportError, KeyError):
        return None
    return lambda texts: batch_count(texts, name, 1)


def cells(text: str, size: int = CELL) -> Iterator[str]:
    """The text in pieces of at most `size` characters, cut where no token can span."""
    start = 0
    while start < len(text):
        end = _cut(text, start, start + size)
        yield text[start:end]
        start = end


def cell_around(text: str, span: tuple[int, int], at: int, size: int) -> tuple[int, int]:
    """Of the cells of about `size` characters that `span` divides into, the one that holds `at`.

    The division is that of the span alone, so that a character chosen at random chooses each
    cell in proportion to its length.
    """
    start, end = span
    number = -(-(end - start) // size)
    place = (at - start) * number // (end - start)
    first, last = (_division(text, span, number, each) for each in (place, place + 1))
    if at < last:
        return first, last
    return last, _division(text, span, number, place + 2)


def _division(text: str, span: tuple[int, int], number: int, place: int) -> int:
    """Where cell `place` of `number` begins: at a cut close before its share of the span."""
    start, end = span
    if place <= 0 or place >= number:
        return start if place <= 0 else end
    wanted = start + (end - start) * place // number
    close = min(_CLOSE, (end - start) // (2 * number))
    return next((n for n in range(wanted, wanted - close, -1) if _is_cut(text, n)), wanted)


def _cut(text: str, start: int, end: int) -> int:
    """The last place up to `end` before a space that follows a visible character."""
    if end >= len(text):
        return len(text)
    for place in range(end, max(start, end - SEARCH), -1):
        if _is_cut(text, place):
            return place
    return end


def packed_path(name: str) -> Path:
    """Where the packed ranks of a vocabulary are."""
    return RANKS / f"{name}.bin"


def official_ranks(text: bytes) -> tuple[bytes, ...]:
    """The tokens of an official `.tiktoken` file in the order of their ranks.

    Raises ValueError where a rank is missing or out of order.
    """
    lines = [line.split() for line in text.splitlines()]
    if [int(rank) for _, rank in lines] != list(range(len(lines))):
        raise ValueError("ranks are not dense")
    return tuple(base64.b64decode(token) for token, _ in lines)


def official_text(tokens: tuple[bytes, ...]) -> bytes:
    """The official `.tiktoken` file of those tokens: what its sha256 is taken over."""
    return b"".join(b"%s %d\n" % (base64.b64encode(token), n) for n, token in enumerate(tokens))


def pack(tokens: tuple[bytes, ...]) -> bytes:
    """Count, one length byte a token, the tokens; compressed."""
    lengths = bytes(len(token) for token in tokens)
    return zlib.compress(
        len(tokens).to_bytes(_COUNT_BYTES, "little") + lengths + b"".join(tokens), level=9
    )


def tokens_of(packed: bytes) -> tuple[bytes, ...]:
    """The tokens that `pack` packed, in the order of their ranks."""
    raw = zlib.decompress(packed)
    end = _COUNT_BYTES + int.from_bytes(raw[:_COUNT_BYTES], "little")
    tokens = []
    for length in raw[_COUNT_BYTES:end]:
        tokens.append(raw[end : end + length])
        end += length
    return tuple(tokens)


def unpack(packed: bytes) -> dict[bytes, int]:
    """Token -> rank, as the tokenizer wants it."""
    return {token: rank for rank, token in enumerate(tokens_of(packed))}
