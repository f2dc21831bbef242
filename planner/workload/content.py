"""What kind of text a job is made of: the ratio between two tokenizers depends on it.

A newer Claude tokenizer makes 57 % more tokens of English prose than OpenAI's, and none more
of Chinese: one multiplier for all text would be wrong by a third for somebody. A few counts
over a sample of the characters tell the kinds apart. A language detector was rejected: it is
a heavy dependency that doesn't know code, JSON or columns of numbers, and cannot say why.
Where the counts are not clear the answer is `MIXED`, which has the widest band.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Content(StrEnum):
    """Kinds of text that tokenizers treat differently enough to keep apart."""

    ENGLISH = "english"
    LATIN = "latin"
    CODE = "code"
    JSON = "json"
    FIGURES = "figures"
    CHINESE = "chinese"
    JAPANESE = "japanese"
    KOREAN = "korean"
    CYRILLIC = "cyrillic"
    ARABIC = "arabic"
    INDIC = "indic"
    THAI = "thai"
    OTHER_SCRIPT = "other_script"
    MIXED = "mixed"

    @property
    def phrase(self) -> str:
        """The kind as a sentence names it."""
        return _PHRASES[self]


_PHRASES = {
    Content.ENGLISH: "English prose",
    Content.LATIN: "prose in another Latin-script language",
    Content.CODE: "code",
    Content.JSON: "JSON",
    Content.FIGURES: "columns of numbers",
    Content.CHINESE: "Chinese",
    Content.JAPANESE: "Japanese",
    Content.KOREAN: "Korean",
    Content.CYRILLIC: "Cyrillic script",
    Content.ARABIC: "Arabic script",
    Content.INDIC: "Indic scripts",
    Content.THAI: "Thai",
    Content.OTHER_SCRIPT: "another script",
    Content.MIXED: "mixed or unclear text",
}

_SCRIPTS = {
    Content.CYRILLIC: "\u0400-\u052f",
    Content.ARABIC: "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    Content.INDIC: "\u0900-\u0dff",
    Content.THAI: "\u0e00-\u0e7f",
    Content.JAPANESE: "\u3040-\u30ff",
    Content.KOREAN: "\u1100-\u11ff\uac00-\ud7af",
    Content.CHINESE: "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    Content.OTHER_SCRIPT: "\u0370-\u03ff\u0530-\u05ff\u0700-\u074f\u0780-\u08ff\u0e80-\u10ff"
    "\u1200-\u1c7f",
}
"""The characters of each script, as the ranges of a regular expression."""

_ACCENTED = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE_SIGNS = frozenset("(){}[]=;_<>")
_CODE_START = r"#|//|/\*|import |from |def |class |return |func |fn |let |const "
_CODE_LINE = re.compile(rf"^(?:[ \t]+\S.*|.*[;{{}})\]:]|(?:{_CODE_START}).*)$", re.MULTILINE)
_KEY = re.compile(r'"\s*:')

# Words that are frequent in their language and rare in the other list's.
_ENGLISH = """
the of and to that it for with you this are be have not from by or what your my can will which
we they how if there has their is on i she he
"""
_OTHER_LATIN = """
der das und ist nicht ich sie mit den ein eine zu auf für von dem le la les des du et est une
que pour dans qui je vous el los las del y en un por con para se su lo il che di per della sono
non e o os da em uma não com het een van dat op te zijn och att det som inte är w z na się nie
jest bir ve bu da için yang dan di ini itu của và là có không
"""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_OTHER_LATIN_WORDS = frozenset(_OTHER_LATIN.split())

SLICE = 250
"""Characters of each of the (at most) three slices that stand for a text."""

ENOUGH = 240
"""Texts shorter than this are pooled before they are judged."""

JUDGED = 256
"""Texts are judged at marks that stand this share of the tokens so far apart."""

_SCRIPT_SHARE = 0.6
_STRAY_SCRIPT_SHARE = 0.2
_KANA_SHARE = 0.1
_FIGURES_SHARE = 0.35
_STRAY_DIGIT_SHARE = 0.2
_LETTER_SHARE = 0.55
_WORD_SHARE = 0.12
_ACCENT_SHARE = 0.02
_CODE_SIGN_SHARE = 0.06
_CODE_LINE_SHARE = 0.45
_CHARACTERS_PER_KEY = 60
_MIN_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts over a text, enough to judge it by; all but `scripts` count over all of it."""

    characters: int
    """Characters that are not white space."""
    letters: int
    digits: int
    accented: int
    scripts: Mapping[Content, int]
    """Letters of scripts other than Latin."""
    words: int
    english_words: int
    other_words: int
    lines: int
    code_lines: int
    code_signs: int
    keys: int
    """Quotation marks before a colon, as JSON keys have them."""


def statistics(text: str) -> Statistics:
    """The counts of a text (use `excerpt` first: the time is proportional to its length)."""
    in_utf8 = text.encode(errors="surrogatepass")
    beyond = _beyond_ascii(in_utf8)
    words = _words(in_utf8, beyond)
    scripts = dict.fromkeys(_SCRIPTS, 0)
    visible = letters = digits = accented = code_signs = 0
    for character, count in chain(_of_ascii(in_utf8), beyond.items()):
        sign = _sign(character)
        visible += count * sign.visible
        letters += count * sign.letter
        digits += count * sign.digit
        accented += count * sign.accented
        code_signs += count * sign.code
        if sign.script is not None:
            scripts[sign.script] += count
    return Statistics(
        characters=visible,
        letters=letters,
        digits=digits,
        accented=accented,
        scripts=scripts,
        words=len(words),
        english_words=sum(map(_ENGLISH_WORDS.__contains__, words)),
        other_words=sum(map(_OTHER_LATIN_WORDS.__contains__, words)),
        lines=sum(map(bool, map(str.strip, text.splitlines()))),
        code_lines=len(_CODE_LINE.findall(text)),
        code_signs=code_signs,
        keys=len(_KEY.findall(text)),
    )


class _Sign(NamedTuple):
    """What one character speaks for."""

    visible: bool
    letter: bool
    digit: bool
    accented: bool
    code: bool
    script: Content | None


@lru_cache(maxsize=8192)
def _sign(character: str) -> _Sign:
    return _Sign(
        visible=not character.isspace(),
        letter=_LETTER.fullmatch(character) is not None,
        digit=_DIGIT.fullmatch(character) is not None,
        accented=_ACCENTED.fullmatch(character) is not None,
        code=character in _CODE_SIGNS,
        script=next(
            (kind for kind, of in _SCRIPTS.items() if re.fullmatch(f"[{of}]", character)), None
        ),
    )


# Most text is ASCII for the most part, and bytes are counted many times as fast as characters:
# ASCII stands in UTF-8 as it is, and only what is beyond it has to be looked at singly.

_ASCII = bytes(range(128))


@cache
def _alike() -> tuple[tuple[str, bytes], ...]:
    """The characters of ASCII that speak for the same, with the first of them."""
    groups: dict[_Sign, str] = {}
    for character in _ASCII.decode():
        groups[_sign(character)] = groups.get(_sign(character), "") + character
    return tuple((group[0], group.encode()) for group in groups.values())


@cache
def _spaced() -> bytes:
    """What becomes of each byte where only words are looked for."""
    ascii_ = bytes(ord(chr(n).lower() if _sign(chr(n)).letter else " ") for n in _ASCII)
    return ascii_ + bytes(range(128, 256))


def _beyond_ascii(in_utf8: bytes) -> Counter[str]:
    """How often each character beyond ASCII occurs."""
    return Counter(in_utf8.translate(None, _ASCII).decode(errors="surrogatepass"))


def _of_ascii(in_utf8: bytes) -> Iterator[tuple[str, int]]:
    """How many characters of ASCII speak for the same, each with one that stands for them."""
    for first, alike in _alike():
        yield first, len(in_utf8) - len(in_utf8.translate(None, alike))


def _words(in_utf8: bytes, beyond: Iterable[str]) -> list[str]:
    """The words in lower case: runs of letters; `beyond` are the characters beyond ASCII."""
    text = in_utf8.translate(_spaced()).decode(errors="surrogatepass")
    for character in beyond:
        if not _sign(character).letter:
            text = text.replace(character, " ")
    return text.lower().split()


def classify(of: Statistics) -> Content:
    """The kind of text those counts speak of; `MIXED` where they don't agree on one."""
    script = _script(of)
    if script is not None:
        return script
    if of.digits >= _FIGURES_SHARE * of.characters > 0:
        return Content.FIGURES
    if of.digits >= _STRAY_DIGIT_SHARE * of.characters > 0:
        return Content.MIXED
    if of.keys and of.keys * _CHARACTERS_PER_KEY >= of.characters:
        return Content.JSON
    if _is_code(of):
        return Content.CODE
    return _prose(of)


def _script(of: Statistics) -> Content | None:
    """A script that dominates, or `MIXED` where scripts stand side by side; None for Latin."""
    foreign = sum(of.scripts.values())
    if foreign < _STRAY_SCRIPT_SHARE * of.letters or not foreign:
        return None
    east_asian = sum(of.scripts[kind] for kind in (Content.JAPANESE, Content.CHINESE))
    if of.scripts[Content.JAPANESE] >= _KANA_SHARE * of.letters:
        return Content.JAPANESE if east_asian >= _SCRIPT_SHARE * of.letters else Content.MIXED
    kind = max(of.scripts, key=lambda each: of.scripts[each])
    return kind if of.scripts[kind] >= _SCRIPT_SHARE * of.letters else Content.MIXED


def _is_code(of: Statistics) -> bool:
    return (
        of.lines >= _MIN_LINES
        and of.code_lines >= _CODE_LINE_SHARE * of.lines
        and of.code_signs >= _CODE_SIGN_SHARE * of.characters
    )


def _prose(of: Statistics) -> Content:
    if of.letters < _LETTER_SHARE * of.characters or not of.words:
        return Content.MIXED
    english, other = of.english_words / of.words, of.other_words / of.words
    if of.accented >= _ACCENT_SHARE * of.letters or other > max(english, _WORD_SHARE):
        return Content.LATIN
    return Content.ENGLISH if english >= _WORD_SHARE else Content.MIXED


def excerpt(text: str) -> str:
    """The text, or its beginning, middle and end where it is long."""
    if len(text) <= 3 * SLICE:
        return text
    middle = (len(text) - SLICE) // 2
    return "\n".join((text[:SLICE], text[middle : middle + SLICE], text[-SLICE:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentMix:
    """How much of a job's text is of which kind, in tokens; largest first."""

    tokens: tuple[tuple[Content, int], ...] = ()

    @property
    def total(self) -> int:
        """Tokens of all kinds."""
        return sum(count for _, count in self.tokens)

    def shares(self) -> tuple[tuple[Content, Fraction], ...]:
        """Each kind's share; all of it `MIXED` where nothing was seen."""
        if not self.total:
            return ((Content.MIXED, Fraction(1)),)
        return tuple((kind, Fraction(count, self.total)) for kind, count in self.tokens)

    def __str__(self) -> str:
        """The kinds as a sentence names them, shares below one percent left out."""
        percents = [(kind, round(share * 100)) for kind, share in self.shares()]
        shown = [(kind, percent) for kind, percent in percents if percent]
        if len(shown) == 1:
            return shown[0][0].phrase
        return ", ".join(f"{percent} % {kind.phrase}" for kind, percent in shown)


class Survey:
    """Accumulates the content mix of a stream of texts, at a cost that grows with its logarithm.

    Marks stand along the tokens of the stream, the further apart the more has passed; a text
    is picked when a mark falls into it, and speaks for the tokens between the marks. So every
    token counts alike, in long texts and in short ones. What was picked is judged when the mix
    is asked for, since who counts with the model's own vocabulary never does. Short texts are
    pooled until there is `ENOUGH` to judge, since ten words seldom show their kind.
    """

    def __init__(self) -> None:
        self._tokens: Counter[Content] = Counter()
        self._passed = 0
        self._mark = 0
        self._picked: list[tuple[str, int]] = []
        self._pool: list[str] = []
        self._pooled_tokens = 0

    def add(self, text: str, tokens: int) -> None:
        """Note a text that stands for that many tokens."""
        self._passed += tokens
        if self._mark >= self._passed:
            return
        step = self._passed // JUDGED + 1
        spoken_for = ((self._passed - 1 - self._mark) // step + 1) * step
        self._mark += spoken_for
        self._picked.append((excerpt(text), spoken_for))

    def _judge(self, text: str, tokens: int) -> None:
        if len(text) >= ENOUGH:
            self._tokens[classify(statistics(text))] += tokens
        else:
            self._pool_short(text, tokens)

    def _pool_short(self, text: str, tokens: int) -> None:
        self._pool.append(text)
        self._pooled_tokens += tokens
        if sum(map(len, self._pool)) >= ENOUGH:
            self._judge_pool()

    def _judge_pool(self) -> None:
        self._tokens[classify(statistics("\n".join(self._pool)))] += self._pooled_tokens
        self._pool.clear()
        self._pooled_tokens = 0

    def mix(self) -> ContentMix:
        """The mix of everything added so far."""
        for picked in self._picked:
            self._judge(*picked)
        self._picked.clear()
        if self._pool:
            self._judge_pool()
        ordered = sorted(self._tokens.items(), key=lambda item: (-item[1], item[0]))
        return ContentMix(tokens=tuple(ordered))
