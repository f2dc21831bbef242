"""What every screen draws with: toned lines, paragraphs, the bar above and the keys below.

One widget a region and no children: each further widget costs milliseconds before the first
paint. The library's own footer mounts a widget a key and cuts the last one in half.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from planner.tui.pieces import (
    HEAT,
    Line,
    Paragraph,
    Piece,
    Tone,
    between,
    cells,
    fitting,
    folded,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.style import Style
    from textual import events
    from textual.binding import Binding
    from textual.dom import DOMNode
    from textual.geometry import Size
    from textual.screen import Screen
    from textual.selection import Selection


def tone_class(tone: Tone) -> str:
    """The component class that a tone takes its colour from."""
    return f"tone--{tone.value}"


class Drawn(Widget):
    """A widget that draws toned lines itself; their colours come from component classes.

    The library's own way from text to the screen wraps and styles every line again whenever one
    of them changes, which took most of a key's time: here a line is drawn when it is another.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {tone_class(tone) for tone in Tone if tone not in HEAT}
    """Each costs a look at every rule for every widget: the shades of maps are for maps alone."""

    _drawn: tuple[Line, ...] = ()
    _drawn_at: Size | None = None
    """The size that the lines were drawn for; None before the first time."""

    def drawn(self) -> Iterable[Line]:
        """The lines at the widget's size."""
        raise NotImplementedError

    def redraw(self) -> None:
        """What is shown may be another: draw the lines that differ."""
        if self._drawn_at is None:
            self.refresh()
            return
        before = self._drawn
        self._draw()
        pairs = enumerate(zip_longest(before, self._drawn))
        other = [Region(0, y, self.size.width, 1) for y, (old, new) in pairs if old != new]
        if other:
            self.refresh(*other)

    def _draw(self) -> None:
        self._drawn, self._drawn_at = tuple(self.drawn()), self.size

    def render_line(self, y: int) -> Strip:
        """One of the lines, with what is selected of it."""
        if self._drawn_at != self.size:
            self._draw()
        strip = self.strip(self._drawn[y] if y < len(self._drawn) else (), self.size.width)
        return self._selectable(strip, y) if self.ALLOW_SELECT else strip

    def _selectable(self, strip: Strip, y: int) -> Strip:
        """The line, marked where the mouse has selected it, and with the places of its cells."""
        span = self.text_selection.get_span(y) if self.text_selection is not None else None
        if span is not None:
            start, end = span[0], strip.cell_length if span[1] < 0 else span[1]
            style = self.screen.get_component_rich_style("screen--selection")
            before, inside, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
            strip = Strip.join((before, inside.apply_style(style), after))
        return strip.apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The words that the mouse has selected."""
        return selection.extract("\n".join(map(plain, self._drawn))), "\n"

    def strip(self, line: Line, width: int, *names: str) -> Strip:
        """One line for the line API, padded; `names` are component classes under the tones."""
        base = self._styled(*names)
        segments = [Segment(text, self._style(tone, base, names)) for text, tone in line if text]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, tone: Tone, base: Style, names: tuple[str, ...]) -> Style:
        """A highlighted line keeps its own colours: contrast first, the marks say the rest."""
        return base if names else self._styled(tone_class(tone))

    _toned: dict[tuple[str, ...], Style] | None = None
    """Component classes -> style: asking the library takes longer than drawing the text."""

    def _styled(self, *names: str) -> Style:
        self._toned = {} if self._toned is None else self._toned
        if names not in self._toned:
            self._toned[names] = self.get_visual_style(*names).rich_style
        return self._toned[names]

    def notify_style_update(self) -> None:
        """Another theme: ask again."""
        self._toned = None
        super().notify_style_update()


class Prose(Drawn):
    """Paragraphs folded to the widget's width."""

    def __init__(self, paragraphs: Sequence[Paragraph] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.paragraphs = tuple(paragraphs)

    def show(self, paragraphs: Sequence[Paragraph]) -> None:
        """Say something else; the screen is laid out anew only where that takes other lines."""
        lines = len(self._drawn)
        self.paragraphs = tuple(paragraphs)
        self.redraw()
        if self._drawn_at is None or len(self._drawn) != lines:
            self.refresh(layout=True)

    def show_lines(self, lines: Iterable[Line]) -> None:
        """Say a few lines of several tones, each folded by itself."""
        self.show([Paragraph(body=line) for line in lines])

    def drawn(self) -> Iterable[Line]:
        """The folded lines."""
        return folded(self.paragraphs, self.size.width)

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 -- the library asks with all three
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """As many lines as the folding makes."""
        return len(folded(self.paragraphs, width))

    def on_click(self, event: events.Click) -> None:
        """A click on a paragraph that says what a key does is that key."""
        at = event.get_content_offset(self)
        end = 0
        for each in self.paragraphs:
            end += len(folded([each], self.size.width))
            if at is not None and at.y < end:
                if each.action:
                    self.call_later(self.app.run_action, each.action, self.screen)
                return


PLACES = ("Plan", "Models", "Jobs", "Budget")
"""Where a person can be; the key of each is its number."""


class TopBar(Drawn):
    """The places with their keys, and at the right what the figures' prices date from."""

    ALLOW_SELECT = False

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.right: tuple[str, ...] = ()

    def show(self, right: tuple[str, ...]) -> None:
        """The wordings of the right end, the longest first."""
        self.right = right
        self.redraw()

    def _tabs(self) -> Line:
        return tuple(
            Piece(f" {number} {name} ", Tone.HERE if name == self.place else Tone.PLAIN)
            for number, name in enumerate(PLACES, 1)
        )

    def drawn(self) -> Iterable[Line]:
        """One line; the right end is never lost."""
        left = self._tabs()
        room = self.size.width - cells(left) - 3
        right: Line = ()
        if self.right:
            right = fitting([(Piece(text, Tone.MUTED),) for text in self.right], max(room, 1))
        return (between(left, (*right, Piece(" ")), self.size.width),)

    def on_click(self, event: events.Click) -> None:
        """A click on a place goes there."""
        end = 0
        for tab, name in zip(self._tabs(), PLACES, strict=True):
            end += cells((tab,))
            if event.x < end:
                self.call_later(self.app.run_action, f"place('{name}')")
                return


class KeyBar(Drawn):
    """The keys that do something now; a key that does not fit is left out whole."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: Screen[object]) -> None:
        self.redraw()

    def entries(self) -> list[Entry]:
        """Keys in their order, the last ones (help, quit) always."""
        return fitted(key_entries(self.screen), self.size.width - 1)

    def drawn(self) -> Iterable[Line]:
        """One line."""
        line: list[Piece] = [Piece(" ")]
        for each in self.entries():
            line += [Piece(each.keys, Tone.KEY), Piece(f" {each.text}  ")]
        return (tuple(line),)

    def on_click(self, event: events.Click) -> None:
        """A click on a key is that key; on the words behind several, the last of them."""
        end = 1
        for each in self.entries():
            for key in each.actions:
                end += len(key.shown) + 1
                last = key is each.actions[-1]
                if event.x < end + (len(each.text) + 1) * last:
                    self.call_later(self.app.run_action, key.action, key.node)
                    return
            end += len(each.text) + 2


class Key(NamedTuple):
    """A key as it is shown, what it does, and whose action that is."""

    shown: str
    action: str
    node: DOMNode


class Entry(NamedTuple):
    """Keys of one description."""

    text: str
    actions: tuple[Key, ...]

    @property
    def keys(self) -> str:
        """The keys as they are shown."""
        return " ".join(each.shown for each in self.actions)


ALWAYS = ("Submit", "Help", "Quit")
"""What is shown whatever the width, at the end: it is the same on every screen."""


def key_entries(screen: Screen[object]) -> list[Entry]:
    """What is shown: the shortest key of each action, one entry a description."""
    found: dict[str, dict[str, Key]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and binding.description and not _typed(screen, binding):
            keys = found.setdefault(binding.description, {})
            key = Key(screen.app.get_key_display(binding), binding.action, active.node)
            before = keys.setdefault(key.action, key)
            if len(key.shown) < len(before.shown):
                keys[key.action] = key
    return [Entry(text, tuple(keys.values())) for text, keys in found.items()]


def _typed(screen: Screen[object], binding: Binding) -> bool:
    """Whether the key would go into the field that has the focus."""
    focused, key = screen.focused, binding.key
    character = key if len(key) == 1 else NAMED.get(key)
    return focused is not None and focused.check_consume_key(key, character)


NAMED = {"question_mark": "?"}


def fitted(entries: Sequence[Entry], width: int) -> list[Entry]:
    """As many entries as fit, from the front, and what is always shown."""
    last = [entry for entry in entries if entry.text in ALWAYS]
    last.sort(key=lambda entry: ALWAYS.index(entry.text))
    kept: list[Entry] = []
    for entry in entries:
        if entry in last:
            continue
        if sum(_width(each) for each in (*kept, entry, *last)) > width:
            break
        kept.append(entry)
    return kept + last


def _width(entry: Entry) -> int:
    return len(entry.keys) + len(entry.text) + 3
