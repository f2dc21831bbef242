"""What every screen draws with: toned lines, paragraphs, the bar above and the keys below.

One widget a region and no children: each further widget costs milliseconds before the first
paint. The library's own footer mounts a widget a key and cuts the last one in half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from planner.tui.pieces import HEAT, Line, Paragraph, Piece, Tone, between, cells, fitting, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.style import Style
    from textual import events
    from textual.binding import Binding
    from textual.geometry import Size
    from textual.screen import Screen


def tone_class(tone: Tone) -> str:
    """The component class that a tone takes its colour from."""
    return f"tone--{tone.value}"


class Drawn(Widget):
    """A widget that draws toned lines itself; their colours come from component classes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {tone_class(tone) for tone in Tone if tone not in HEAT}
    """Each costs a look at every rule for every widget: the shades of maps are for maps alone."""

    def content(self, lines: Iterable[Line]) -> Content:
        """Lines as what Textual draws."""
        return Content("\n").join(
            Content.assemble(
                *((piece.text, self.get_visual_style(tone_class(piece.tone))) for piece in line)
            )
            for line in lines
        )

    def strip(self, line: Line, width: int, *names: str) -> Strip:
        """One line for the line API, padded; `names` are component classes under the tones."""
        base = self._styled(*names)
        segments = [Segment(piece.text, self._style(piece.tone, base, names)) for piece in line]
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
        width = self.size.width
        before, self.paragraphs = self.paragraphs, tuple(paragraphs)
        same = width and len(folded(before, width)) == len(folded(self.paragraphs, width))
        self.refresh(layout=not same)

    def show_lines(self, lines: Iterable[Line]) -> None:
        """Say a few lines of several tones, each folded by itself."""
        self.show([Paragraph(body=line) for line in lines])

    def render(self) -> Content:
        """The folded lines."""
        return self.content(folded(self.paragraphs, self.size.width))

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 -- the library asks with all three
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """As many lines as the folding makes."""
        return len(folded(self.paragraphs, width))


PLACES = ("Plan", "Models", "Jobs", "Budget")
"""Where a person can be; the key of each is its number."""


class TopBar(Drawn):
    """The places with their keys, and at the right what the figures' prices date from."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.right: tuple[str, ...] = ()

    def show(self, right: tuple[str, ...]) -> None:
        """The wordings of the right end, the longest first."""
        self.right = right
        self.refresh()

    def _tabs(self) -> Line:
        return tuple(
            Piece(f" {number} {name} ", Tone.HERE if name == self.place else Tone.PLAIN)
            for number, name in enumerate(PLACES, 1)
        )

    def render(self) -> Content:
        """One line; the right end is never lost."""
        left = self._tabs()
        room = self.size.width - cells(left) - 3
        right: Line = ()
        if self.right:
            right = fitting([(Piece(text, Tone.MUTED),) for text in self.right], max(room, 1))
        return self.content([between(left, (*right, Piece(" ")), self.size.width)])

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

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """Keys in their order, the last ones (help, quit) always."""
        entries = key_entries(self.screen)
        kept = fitted(entries, self.size.width - 1)
        line: list[Piece] = [Piece(" ")]
        for keys, text in kept:
            line += [Piece(keys, Tone.KEY), Piece(f" {text}  ")]
        return self.content([tuple(line)])


Entry = tuple[str, str]
ALWAYS = ("Submit", "Help", "Quit")
"""What is shown whatever the width, at the end: it is the same on every screen."""


def key_entries(screen: Screen[object]) -> list[Entry]:
    """(keys, description) of what is shown: one key an action, one entry a description."""
    found: dict[str, dict[str, str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and binding.description and not _typed(screen, binding):
            keys = found.setdefault(binding.description, {})
            keys.setdefault(binding.action, screen.app.get_key_display(binding))
    return [(" ".join(keys.values()), text) for text, keys in found.items()]


def _typed(screen: Screen[object], binding: Binding) -> bool:
    """Whether the key would go into the field that has the focus."""
    focused, key = screen.focused, binding.key
    character = key if len(key) == 1 else NAMED.get(key)
    return focused is not None and focused.check_consume_key(key, character)


NAMED = {"question_mark": "?"}


def fitted(entries: Sequence[Entry], width: int) -> list[Entry]:
    """As many entries as fit, from the front, and what is always shown."""
    last = [entry for entry in entries if entry[1] in ALWAYS]
    kept: list[Entry] = []
    for entry in entries:
        if entry in last:
            continue
        if sum(_width(each) for each in (*kept, entry, *last)) > width:
            break
        kept.append(entry)
    return kept + last


def _width(entry: Entry) -> int:
    keys, text = entry
    return len(keys) + len(text) + 3
