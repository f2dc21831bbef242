"""Sizes out of the first bytes of pictures, and tokens out of sizes."""

from __future__ import annotations

import base64
import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload.media import (
    Fixed,
    Media,
    MediaRules,
    Patches,
    Size,
    Tiles,
    UncountableError,
    dimensions,
    of_part,
    page_count,
    rules,
)

SIDES = st.integers(1, 16_000)
SIZES = st.tuples(SIDES, SIDES)


def image(width: int, height: int, detail: str | None = None) -> Media:
    return Media(kind="image", size=(width, height), detail=detail)


# ------------------------------------------------------------------ what files say of themselves


def png(size: Size) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", *size) + b"\x08\x02"


def gif(size: Size) -> bytes:
    return b"GIF89a" + struct.pack("<HH", *size)


def jpeg(size: Size) -> bytes:
    preview = b"\xff\xe1" + struct.pack(">H", 2 + 300) + b"\xff\xc0" * 150
    frame = b"\xff\xc2" + struct.pack(">HBHH", 11, 8, size[1], size[0]) + b"\x01\x11\x00"
    return b"\xff\xd8" + preview + b"\xff" + frame


def webp_lossy(size: Size) -> bytes:
    return b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0" + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", *size)


def webp_lossless(size: Size) -> bytes:
    bits = (size[0] - 1) | (size[1] - 1) << 14
    return b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", bits)


def webp_extended(size: Size) -> bytes:
    sides = (size[0] - 1).to_bytes(3, "little") + (size[1] - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + sides


FORMATS = [png, gif, jpeg, webp_lossy, webp_lossless, webp_extended]


@pytest.mark.parametrize("written", FORMATS)
@given(size=SIZES)
def test_a_picture_says_its_size(written: object, size: Size) -> None:
    assert callable(written)
    assert dimensions(written(size)) == size


@given(st.binary(max_size=64), st.sampled_from(FORMATS), st.integers(0, 40))
def test_what_is_no_picture_has_no_size_and_breaks_nothing(
    noise: bytes, written: object, kept: int
) -> None:
    assert callable(written)
    for data in (noise, written((7, 9))[:kept], written((7, 9))[:kept] + noise):
        found = dimensions(data)
        assert found is None or min(found) > 0


def test_pages_of_a_document() -> None:
    body = b"%PDF-1.7\n1 0 obj <</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>> endobj"
    pages = b" 2 0 obj <</Type /Page>> endobj 3 0 obj <</Type/Page\n>> endobj"
    assert page_count(body + pages) == 2
    assert page_count(b"%PDF-1.7 objects packed away") is None
    assert page_count(b"PK\x03\x04 /Type /Page ") is None


# ------------------------------------------------------------------ parts of messages

PNG = base64.b64encode(png((640, 480))).decode()
PDF = base64.b64encode(b"%PDF-1.4 /Type /Page /Type /Page ").decode()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            Media(kind="image", size=(640, 480), bytes=len(PNG)),
        ),
        (
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
            Media(kind="image", size=(640, 480), detail="low", bytes=len(PNG)),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "x", "data": PNG}},
            Media(kind="image", size=(640, 480), bytes=len(PNG)),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.test/b.png", "detail": "high"}},
            Media(kind="image", detail="high"),
        ),
        (
            {"type": "image", "source": {"type": "url"}, "size": "800x600"},
            Media(kind="image", size=(800, 600)),
        ),
        ({"type": "image", "size": [800, 600]}, Media(kind="image", size=(800, 600))),
        ({"type": "image", "width": 8, "height": 6}, Media(kind="image", size=(8, 6))),
        ({"type": "image", "width": "8", "height": 0}, Media(kind="image")),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
            Media(kind="pdf", pages=2, bytes=len(PDF)),
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
            Media(kind="pdf", pages=2, bytes=len(PDF)),
        ),
        ({"type": "input_file", "file_id": "f", "pages": 3}, Media(kind="pdf", pages=3)),
        ({"type": "input_file", "file_id": "f"}, Media(kind="pdf")),
        ({"type": "input_audio"}, None),
    ],
)
def test_what_is_seen_of_a_part(part: dict[str, object], expected: Media | None) -> None:
    assert of_part(part) == expected


# ------------------------------------------------------------------ formulas

CLAUDE_5 = Patches(patch=28, long_edge=2576)
CLAUDE_4 = Patches(patch=28, long_edge=1568, most={"*": 1568})
GPT_6 = Patches(patch=32, multiply=Fraction(6, 5), most={"high": 2500}, whole=True)
GPT_5_5 = Patches(patch=32, multiply=Fraction(6, 5), most={"*": 10_000, "high": 2500}, whole=True)

# Input tokens of one picture as measured by others (huggingface.co/datasets/JOHNISKING/
# image-token-cost, 2026-10-18), the prompt's own 77 (65) tokens taken off.
MEASURED = [
    (256, 256, 100, 100, 77, 77, 77),
    (512, 512, 361, 361, 308, 308, 308),
    (768, 768, 784, 784, 692, 692, 692),
    (1024, 1024, 1369, 1369, 1229, 1229, 1229),
    (1280, 720, 1196, 1196, 1104, 1104, 1104),
    (1920, 1080, 2691, 1560, 2448, 2448, 2448),
    (1080, 1920, 2691, 1560, 2448, 2448, 2448),
    (2560, 1440, None, 1560, 4320, 2931, 4320),
    (3840, 2160, None, 1560, 9792, 2931, 9792),
    (4032, 3024, None, 1564, 14_364, 2942, 11_868),
]
"""Above 2,000 pixels the client that measured Claude 5.5 made pictures smaller itself."""


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row[0]}x{row[1]}")
def test_the_formulas_give_what_was_measured(row: tuple[int, ...]) -> None:
    width, height, claude_5, *others = row
    picture, closer = image(width, height), image(width, height, "high")
    if claude_5 is not None:
        assert CLAUDE_5.tokens(picture) == claude_5
    found = [CLAUDE_4.tokens(picture), GPT_6.tokens(picture)]
    assert [*found, GPT_6.tokens(closer), GPT_5_5.tokens(picture)] == others


@pytest.mark.parametrize(
    ("formula", "width", "height", "detail", "expected"),
    [
        (Tiles(base=85, tile=170), 1024, 1024, "high", 765),
        (Tiles(base=85, tile=170), 2048, 4096, "high", 1105),
        (Tiles(base=85, tile=170), 4096, 8192, "low", 85),
        (Tiles(base=85, tile=170), 512, 512, None, 255),
        (Tiles(base=85, tile=170), 513, 512, None, 425),
        (
            Patches(patch=32, multiply=Fraction("1.62"), most={"*": 1536}, whole=True),
            1024,
            1024,
            None,
            1659,
        ),
        (Patches(patch=32, most={"*": 1536}, whole=True), 1800, 2400, None, 1452),
        (Fixed(tokens_by_detail={"*": 1120, "low": 280}), 9, 9, None, 1120),
        (Fixed(tokens_by_detail={"*": 1120, "low": 280}), 9, 9, "low", 280),
        (Patches(patch=32, low=70), 9000, 9, "low", 70),
    ],
)
def test_documented_examples(
    formula: Patches | Tiles | Fixed, width: int, height: int, detail: str | None, expected: int
) -> None:
    assert formula.tokens(image(width, height, detail)) == expected


@given(SIZES, st.sampled_from([CLAUDE_5, CLAUDE_4, GPT_5_5]))
def test_a_picture_turned_by_a_quarter_costs_the_same(size: Size, formula: Patches) -> None:
    assert formula.tokens(image(*size)) == formula.tokens(image(size[1], size[0]))


@given(SIZES, st.sampled_from([CLAUDE_4, GPT_5_5]))
def test_no_picture_costs_more_than_the_most(size: Size, formula: Patches) -> None:
    tokens = formula.tokens(image(*size))
    assert 1 <= tokens <= -(-formula.most["*"] * formula.multiply // 1)


@given(SIZES, st.integers(2, 6))
def test_a_larger_copy_never_costs_less(size: Size, factor: int) -> None:
    larger = image(size[0] * factor, size[1] * factor)
    assert CLAUDE_4.tokens(image(*size)) <= CLAUDE_4.tokens(larger)
    assert Tiles(base=1, tile=1).tokens(image(*size)) <= Tiles(base=1, tile=1).tokens(larger)


@pytest.mark.parametrize("formula", [CLAUDE_4, Tiles(base=85, tile=170)])
def test_an_unknown_size_is_refused(formula: Patches | Tiles) -> None:
    with pytest.raises(UncountableError, match="size"):
        formula.tokens(Media(kind="image"))


def test_a_detail_without_a_figure_is_refused() -> None:
    with pytest.raises(UncountableError, match="low"):
        GPT_6.tokens(image(9, 9, "low"))
    with pytest.raises(UncountableError, match="odd"):
        Fixed(tokens_by_detail={"low": 1}).tokens(image(9, 9, "odd"))


def test_without_rules_nothing_is_counted() -> None:
    for media in (image(1, 1), Media(kind="pdf", pages=1)):
        with pytest.raises(UncountableError, match="not known"):
            MediaRules().tokens(media)
    with pytest.raises(UncountableError, match="pages"):
        MediaRules(page=(1, 2, 3)).tokens(Media(kind="pdf"))
    assert MediaRules(page=(1, 2, 3)).tokens(Media(kind="pdf", pages=4)) == (4, 8, 12)


def test_rules_come_from_plain_data() -> None:
    patches = {"scheme": "patches", "patch": 32, "multiply": Decimal("1.2"), "most": {"*": 5}}
    assert rules({"image": patches, "page": [1, 2, 3]}) == MediaRules(
        image=Patches(patch=32, multiply=Fraction(6, 5), most={"*": 5}), page=(1, 2, 3)
    )
    tiles = rules({"image": {"scheme": "tiles", "base": 85, "tile": 170}})
    assert tiles.image == Tiles(base=85, tile=170)
    fixed = rules({"image": {"scheme": "fixed", "tokens": {"*": 1120}}})
    assert fixed.image == Fixed(tokens_by_detail={"*": 1120})
