"""The pictures of the README are what the program draws."""

from __future__ import annotations

import re

from scripts.draw_pictures import TARGET, drawn, wanted

LARGEST = 80_000
"""Bytes: a page that shows three of them must still open at once."""


def test_the_pictures_are_current_small_and_fetch_nothing() -> None:
    """After a change of a screen or of a price: make pictures."""
    made = drawn()
    assert {each.name for each in TARGET.iterdir()} == set(made)
    for name, svg in made.items():
        assert (TARGET / name).read_text(encoding="utf-8") == svg, f"{name}: make pictures"
        assert len(svg) < LARGEST
        assert not re.search(r"url\(['\"]?http|@import|<image|<script", svg)
    assert {f"{each.name}.svg" for each in wanted()} == set(made)
