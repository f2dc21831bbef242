"""How a screen looks in every theme at once: one map of cells, and what stands for each letter.

Text frames hold no colours. Here each cell of a frame has a letter, and the legend below says
how that letter is drawn on a dark, a light and the terminal's own palette, and without colour.
"""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

from rich.color import Color, ColorType
from textual.color import Color as Shade
from textual.screen import ModalScreen

from planner.tui.widgets import Drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from planner.tui.app import PlannerApp

LEAST_CONTRAST = 3.0
"""WCAG 2 for large text; the ordinary text of a terminal is set in sizes people choose."""

LETTERS = ascii_letters + digits
HIGHEST_CONTRAST = 21.0
BLOCKS = "▁▂▃▄▅▆▇█▔▌▐▎▊─│╭╮╯╰"
"""Borders, and bars for scrolling: nobody reads them."""

SHAPES = ("bold", "dim", "italic", "underline", "reverse", "strike")


class Cell(NamedTuple):
    """One cell as it is drawn; the colour of what is not there is None."""

    text: str
    ink: Color | None
    paper: Color | None
    shapes: tuple[str, ...]

    @property
    def said(self) -> str:
        """Its style in words."""
        ink = named(self.ink) if self.text.strip() else ""
        paper = f"on {named(self.paper)}" if named(self.paper) else ""
        return " ".join(filter(None, (*self.shapes, ink, paper))) or "-"

    @property
    def is_grey(self) -> bool:
        """Whether it has no hue."""
        parts = [each.triplet for each in (self.ink, self.paper) if each is not None]
        return all(each is None or len(set(each)) == 1 for each in parts)

    @property
    def contrast(self) -> float:
        """Ink on paper by WCAG 2; where nobody reads it is the highest."""
        pair = [each for each in (self.ink, self.paper) if each is not None and each.triplet]
        if len(pair) < 2 or self.text in BLOCKS:  # the terminal's own palette is its owner's
            return HIGHEST_CONTRAST
        return contrast(*map(Shade.from_rich_color, pair))


def named(color: Color | None) -> str:
    """A colour of the terminal by its name, any other by its parts; none is none."""
    if color is None or color.type is ColorType.DEFAULT:
        return ""
    return color.triplet.hex if color.triplet is not None else color.name


def contrast(one: Shade, other: Shade) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: Shade) -> float:
    """The relative luminance of WCAG 2, 0 to 1."""
    return luminance_of(linear(color))


def linear(color: Shade) -> tuple[float, ...]:
    """Its parts in proportion to light."""
    parts = [part / 255 for part in color.rgb]
    return tuple(p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)


def luminance_of(parts: Sequence[float]) -> float:
    """How light an eye takes parts of light for."""
    red, green, blue = parts
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def on_top(app: PlannerApp, frame: list[list[Cell]]) -> list[Cell]:
    """The cells of what is on top, and not of the screen that is dimmed below it."""
    box = app.screen.query(".box") if isinstance(app.screen, ModalScreen) else ()
    region = box[0].region if box else app.screen.region
    lines = frame[region.y : region.bottom]
    return [cell for line in lines for cell in line[region.x : region.right]]


def cells(app: PlannerApp) -> list[list[Cell]]:
    """Every cell of the screen, a list a line."""
    lines = []
    for strip in app.screen._compositor.render_strips(app.size):
        line = []
        for text, style, control in strip:
            if not control:
                line += [_cell(each, style) for each in text]
        lines.append(line)
    return lines


def _cell(text: str, style: Style | None) -> Cell:
    if style is None:
        return Cell(text, None, None, ())
    blank = not text.strip()
    shapes = tuple(each for each in SHAPES if getattr(style, each))
    shown = tuple(each for each in shapes if not blank or each in ("underline", "reverse"))
    return Cell(text, None if blank else style.color, style.bgcolor, shown)


def together(looks: dict[str, list[list[Cell]]]) -> str:
    """The map, and under it each letter's style in every theme."""
    legend: dict[tuple[str, ...], str] = {}
    drawn = []
    for line in zip(*looks.values(), strict=True):
        said = [tuple(each.said for each in cell) for cell in zip(*line, strict=True)]
        drawn.append("".join(legend.setdefault(each, LETTERS[len(legend)]) for each in said))
    return "\n".join((*drawn, "", *_table(("", *looks), legend)))


def _table(titles: Sequence[str], legend: dict[tuple[str, ...], str]) -> list[str]:
    rows = [tuple(titles), *((letter, *said) for said, letter in legend.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


STRIPS = "━●┤┥┿┊·─▌█ "
"""Strips and bars: what they say stands in where they end, and beside them as a figure."""


def words(app: PlannerApp, tones: Sequence[str]) -> dict[str, set[str]]:
    """Tone -> what stands on the screen in its colour."""
    drawn = app.screen.query(Drawn).first()
    styles = {tone: drawn.get_visual_style(f"tone--{tone}") for tone in tones}
    inks = {
        tone: (each.background + each.foreground).hex6
        for tone, each in styles.items()
        if each.background is not None
    }
    found: dict[str, set[str]] = {tone: set() for tone in tones}
    for strip in app.screen._compositor.render_strips(app.size):
        for text, style, _ in strip:
            ink = "" if style is None else named(style.color).upper()
            for tone in tones:
                if ink == inks[tone] and text.strip().strip(STRIPS):
                    found[tone].add(text.strip())
    return found
