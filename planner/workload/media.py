"""Images and documents in a request: what is seen of them, and how many tokens they are.

Vendors bill a picture by its size in pixels and a PDF by its pages, each by a formula of its
own with constants that change; the formulas stand here as pure functions, the constants in
dated data. Decoding pictures with an imaging library was rejected: the first bytes of a file
state its size, and nothing more is asked of it.

What no formula covers is refused with a reason (`UncountableError`), never counted as nothing.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

Kind = Literal["image", "pdf"]
Size = tuple[int, int]
Ends = tuple[int, int, int]
"""Tokens: low, expected, high."""

EVERY = "*"

_HEAD = 512 * 1024
"""Bytes of a picture that are looked at: its size stands behind embedded previews at worst."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,;]*)*;base64,")
_STATED_SIZE = re.compile(r"([1-9][0-9]{0,5})\s*[x\u00d7]\s*([1-9][0-9]{0,5})")
_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


class UncountableError(Exception):
    """Nobody can say how many tokens this is; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture or a document in a message, as far as it can be seen from the request.

    `detail` is the sender's word for how closely it is looked at; `bytes` its size on the
    wire, 0 where it is only referred to.
    """

    kind: Kind
    size: Size | None = None
    pages: int | None = None
    detail: str | None = None
    bytes: int = 0


# --- what is seen of a part -------------------------------------------------------------


def of_part(part: Mapping[str, Any]) -> Media | None:
    """The picture or document that a part of a message is; None where it is neither."""
    kind = part.get("type")
    if kind in ("image_url", "input_image", "image"):
        return _image(part)
    if kind in ("document", "file", "input_file"):
        return _document(part)
    return None


def _image(part: Mapping[str, Any]) -> Media:
    inner = part.get("image_url")
    holder = inner if isinstance(inner, dict) else part
    detail = holder.get("detail", part.get("detail"))
    _, data = _inline(part, holder)
    stated = _stated_size(part) or _stated_size(holder)
    return Media(
        kind="image",
        size=stated or dimensions(_decoded(data[: _HEAD * 4 // 3])) if data else stated,
        detail=detail if isinstance(detail, str) else None,
        bytes=len(data),
    )


def _document(part: Mapping[str, Any]) -> Media:
    inner = part.get("file")
    holder = inner if isinstance(inner, dict) else part
    media_type, data = _inline(part, holder)
    if data and media_type and media_type != "application/pdf":
        raise UncountableError(f"a document of type {media_type} has no known formula")
    pages = part.get("pages")
    found = pages if isinstance(pages, int) and pages > 0 else page_count(_decoded(data))
    return Media(kind="pdf", pages=found, bytes=len(data))


def _inline(part: Mapping[str, Any], holder: Mapping[str, Any]) -> tuple[str, str]:
    """(media type, base64) of what travels in the request itself; empty where it does not."""
    source = part.get("source")
    if isinstance(source, dict) and isinstance(source.get("data"), str):
        return str(source.get("media_type", "")), source["data"]
    for value in (part.get("image_url"), holder.get("url"), holder.get("file_data")):
        if isinstance(value, str) and (found := _DATA_URL.match(value)):
            return found[1], value[found.end() :]
    return "", ""


def _stated_size(holder: Mapping[str, Any]) -> Size | None:
    """`width` and `height`, or `size` as "800x600" or [800, 600], where a row states them."""
    width, height = holder.get("width"), holder.get("height")
    size = holder.get("size")
    if isinstance(size, str) and (found := _STATED_SIZE.fullmatch(size.strip())):
        width, height = int(found[1]), int(found[2])
    elif isinstance(size, list) and len(size) == 2:  # noqa: PLR2004 -- a width and a height
        width, height = size
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        return width, height
    return None


def _decoded(data: str) -> bytes:
    """The bytes of a base64 text (which may be cut short); empty where it is none."""
    whole = len(data) - len(data) % 4
    try:
        return base64.b64decode(data[:whole], validate=False)
    except (binascii.Error, ValueError):
        return b""


def dimensions(data: bytes) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP from its first bytes; None for others."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR":
        found = _big(data[16:20]), _big(data[20:24])
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        found = _little(data[6:8]), _little(data[8:10])
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _webp(data)
    elif data.startswith(_JPEG):
        found = _jpeg(data)
    else:
        return None
    return found if found[0] > 0 and found[1] > 0 else None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _webp(data: bytes) -> Size:
    """The three kinds of WebP keep their size in three places."""
    kind = data[12:16]
    if kind == b"VP8X":
        return _little(data[24:27]) + 1, _little(data[27:30]) + 1
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
    return 0, 0


def _jpeg(data: bytes) -> Size:
    """The size in the first frame header, found by walking over the segments before it."""
    place = len(_JPEG)
    while place + 9 <= len(data) and data[place] == 0xFF:  # noqa: PLR2004 -- every marker's start
        marker = data[place + 1]
        if marker in _FRAMES:
            return _big(data[place + 7 : place + 9]), _big(data[place + 5 : place + 7])
        skipped = 2 if marker in _STANDALONE else 2 + _big(data[place + 2 : place + 4])
        place += 1 if marker == 0xFF else skipped  # noqa: PLR2004 -- padding before a marker
    return 0, 0


def page_count(data: bytes) -> int | None:
    """Pages of a PDF; None where it is none, or packs its page tree away."""
    if not data.startswith(b"%PDF-"):
        return None
    return len(_PDF_PAGE.findall(data)) or None


# --- formulas ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Tokens by the squares of `patch` pixels that cover a picture, times `multiply`.

    A picture over `long_edge` pixels, or over the most patches that its detail allows
    (`most`, `*` for any detail), is scaled down first: to the largest that fits, or, with
    `whole`, to a whole number of patches on one side. `low` are the tokens of detail "low".
    """

    patch: int
    multiply: Fraction = Fraction(1)
    long_edge: int | None = None
    most: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    whole: bool = False
    low: int | None = None

    def tokens(self, image: Media) -> int:
        """Tokens of the picture; UncountableError where its size or detail settles nothing."""
        if image.detail == "low":
            return _known(self.low, "a picture of low detail has no published formula here")
        width, height = map(Fraction, _size(image))
        if self.long_edge is not None and max(width, height) > self.long_edge:
            shrink = self.long_edge / max(width, height)
            width, height = width * shrink, height * shrink
        most = self.most.get(image.detail or "auto", self.most.get(EVERY))
        count = self._count(width, height)
        if most is not None and count > most:
            count = (self._whole if self.whole else self._largest)(width, height, most)
        return math.ceil(count * self.multiply)

    def _count(self, width: Fraction, height: Fraction) -> int:
        return math.ceil(width / self.patch) * math.ceil(height / self.patch)

    def _whole(self, width: Fraction, height: Fraction, most: int) -> int:
        """Scaled to the area of `most` patches, then down to whole patches on one side."""
        shrink = math.sqrt(self.patch**2 * most / (width * height))
        across, down = float(width) * shrink / self.patch, float(height) * shrink / self.patch
        both = min(math.floor(across) / across, math.floor(down) / down)
        return math.ceil(round(across * both, 6)) * math.ceil(round(down * both, 6))

    @staticmethod
    def _largest(width: Fraction, height: Fraction, most: int) -> int:
        """The most patches, up to `most`, that any smaller copy of the picture has."""
        aspect = height / width
        best = 1
        for columns in range(1, most + 1):
            fewest = math.floor((columns - 1) * aspect) + 1
            if columns * fewest > most:
                break
            best = max(best, columns * min(math.ceil(columns * aspect), most // columns))
        return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """`base` tokens, and `tile` for each square of 512 pixels of the scaled picture.

    It is fitted into 2,048 pixels, then its shorter side into 768; detail "low" is `base`.
    """

    base: int
    tile: int
    edge: int = 512
    fit: int = 2048
    short: int = 768

    def tokens(self, image: Media) -> int:
        """Tokens of the picture; UncountableError where its size is not known."""
        if image.detail == "low":
            return self.base
        width, height = _size(image)
        shrink = min(
            Fraction(1),
            Fraction(self.fit, max(width, height)),
            Fraction(self.short, min(width, height)),
        )
        tiles = math.ceil(width * shrink / self.edge) * math.ceil(height * shrink / self.edge)
        return self.base + self.tile * tiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The same for every picture, or by its stated detail (`*` for any)."""

    tokens_by_detail: Mapping[str, int]

    def tokens(self, image: Media) -> int:
        """Tokens of the picture; UncountableError for a detail without a figure."""
        by_detail = self.tokens_by_detail
        found = by_detail.get(image.detail or EVERY, by_detail.get(EVERY))
        return _known(found, f"a picture of detail {image.detail} has no published figure")


def _size(image: Media) -> Size:
    if image.size is None:
        raise UncountableError("a picture's size is not in the request: give it inline, or `size`")
    return image.size


def _known(tokens: int | None, otherwise: str) -> int:
    if tokens is None:
        raise UncountableError(otherwise)
    return tokens


ImageFormula = Patches | Tiles | Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRules:
    """How one model's vendor counts pictures and documents; None: nobody says."""

    image: ImageFormula | None = None
    page: Ends | None = None
    """Tokens of a page of a PDF: low, expected, high."""
    as_of: date | None = None

    def tokens(self, media: Media) -> Ends:
        """Low, expected and high tokens; UncountableError where they cannot be known."""
        if media.kind == "pdf":
            return self._pdf(media)
        if self.image is None:
            raise UncountableError("how its vendor counts pictures is not known")
        tokens = self.image.tokens(media)
        return tokens, tokens, tokens

    def _pdf(self, media: Media) -> Ends:
        if self.page is None:
            raise UncountableError("how its vendor counts PDF pages is not known")
        if media.pages is None:
            raise UncountableError("the number of pages is not in the request: give `pages`")
        low, value, high = (each * media.pages for each in self.page)
        return low, value, high


NO_RULES = MediaRules()


def rules(facts: Mapping[str, Any], as_of: date | None = None) -> MediaRules:
    """Rules from plain data: `image` (a `scheme` with its constants) and `page`."""
    page = facts.get("page")
    return MediaRules(
        image=_formula(facts["image"]) if facts.get("image") else None,
        page=None if page is None else (page[0], page[1], page[2]),
        as_of=as_of or facts.get("as_of"),
    )


def _formula(facts: Mapping[str, Any]) -> ImageFormula:
    constants = {key: value for key, value in facts.items() if key != "scheme"}
    if facts["scheme"] == "tiles":
        return Tiles(**constants)
    if facts["scheme"] == "fixed":
        return Fixed(tokens_by_detail=constants["tokens"])
    if "multiply" in constants:
        constants["multiply"] = Fraction(constants["multiply"])
    return Patches(**constants)
