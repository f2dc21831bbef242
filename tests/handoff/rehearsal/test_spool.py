"""Rows are found in bodies without reading them as JSON, and exactly those that JSON has."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.rehearsal import spool

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(TEXT, JSON, max_size=4), max_size=6)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> spool.Spool:
    return spool.Spool(tmp_path_factory.mktemp("spool"))


@pytest.fixture(autouse=True)
def _pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece ends somewhere in the middle."""
    monkeypatch.setattr(spool, "CHUNK", 7)


def read(rows: spool.Rows) -> list[Any]:
    return [json.loads(raw) for _, raw in rows.all()]


@given(rows=ROWS, indent=st.none() | st.integers(0, 3), ascii_only=st.booleans())
def test_rows_of_a_body_are_those_of_its_json(
    kept: spool.Spool, rows: list[Any], indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps({"requests": rows}, indent=indent, ensure_ascii=ascii_only).encode()
    assert read(spool.requests(kept.keep(body))) == rows


@given(rows=ROWS, cut=st.integers(1, 40), tail=st.sampled_from([b"", b"]", b"}", b",", b"{}"]))
def test_a_body_that_is_cut_is_refused(
    kept: spool.Spool, rows: list[Any], cut: int, tail: bytes
) -> None:
    body = json.dumps({"requests": rows}).encode()[:-cut] + tail
    try:
        found = json.loads(body).get("requests")
    except ValueError:
        found = None
    if found is None:
        with pytest.raises(spool.MalformedError):
            spool.requests(kept.keep(body))
    else:
        assert read(spool.requests(kept.keep(body))) == found


@pytest.mark.parametrize("body", [b"", b"[]", b'{"rows": []}', b'{"requests": {}}', b"null"])
def test_another_body_is_refused(kept: spool.Spool, body: bytes) -> None:
    with pytest.raises(spool.MalformedError):
        spool.requests(kept.keep(body))


@given(rows=st.lists(TEXT.map(lambda text: json.dumps(text, ensure_ascii=False)), max_size=6))
def test_lines_end_at_newlines_alone(kept: spool.Spool, rows: list[str]) -> None:
    """Not at the other ends of line that text in UTF-8 may hold."""
    blob = kept.keep("".join(f"{row}\n" for row in rows).encode())
    assert [raw.decode() for _, raw in spool.lines(blob).all()] == rows


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
    ],
)
def test_ends_of_line(kept: spool.Spool, body: bytes, rows: list[bytes]) -> None:
    assert [raw for _, raw in spool.lines(kept.keep(body)).all()] == rows


@given(raw=st.binary(max_size=60), wanted=st.binary(min_size=1, max_size=9), at=st.integers(0, 9))
def test_bytes_are_found_across_pieces(
    kept: spool.Spool, raw: bytes, wanted: bytes, at: int
) -> None:
    assert kept.keep(raw).find(wanted, at) == raw.find(wanted, at)


@given(raw=st.binary(max_size=60), start=st.integers(0, 9), size=st.integers(0, 30))
def test_a_stretch_of_a_file_is_that_stretch(
    kept: spool.Spool, raw: bytes, start: int, size: int
) -> None:
    part = raw[start : start + size]
    blob = spool.Blob(kept.keep(raw).path, start, len(part))
    assert b"".join(blob.chunks()) == blob.whole() == part
    assert blob.sha256() == hashlib.sha256(part).hexdigest()


def test_rows_are_read_in_any_order(kept: spool.Spool) -> None:
    rows = spool.lines(kept.keep(b"a\nbb\nccc\n"))

    def picked(*order: int) -> Iterator[bytes]:
        from array import array

        return (raw for _, raw in rows.each(array("L", order)))

    assert list(picked(2, 0, 1, 1)) == [b"ccc", b"a", b"bb", b"bb"]
