"""What opens over a screen: help, an explanation, a form to type in.

Each shows a value it was given and closes with an answer or none; what the answer does is
the business of the screen below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from planner.errors import PlannerError
from planner.tui.forms import Field, FieldError
from planner.tui.notices import problems
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.screen import Screen

T = TypeVar("T")


def keys_below(*keys: tuple[str, str]) -> str:
    """(What a key does, its action) for the lower edge of a box, each one a place to click.

    Nothing that a file or a vendor said goes in: it would be read as markup.
    """
    return " · ".join(f"[@click={action}]{said}[/]" for said, action in keys)


class Sheet(ModalScreen[None]):
    """Paragraphs to read, over the screen they belong to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", tooltip="Back to the screen below"),
        Binding("y", "copy", "Copy", tooltip="Copy the command that says the same"),
    ]

    def __init__(
        self, title: str, paragraphs: Sequence[Paragraph], *, command: str | None = None
    ) -> None:
        """`command` says the same from a shell; it stands on top, and y copies it."""
        super().__init__()
        self.heading = title
        self.paragraphs = tuple(paragraphs)
        self.command = command

    def compose(self) -> ComposeResult:
        """One scrolling box."""
        with VerticalScroll(classes="box") as box:
            box.border_title = self.heading
            copy = [("y copies the command", "screen.copy")] if self.command else []
            box.border_subtitle = keys_below(*copy, ("Esc closes", "screen.dismiss"))
            yield Prose((*self._shell(), *self.paragraphs))

    def _shell(self) -> Iterator[Paragraph]:
        if self.command is not None:
            yield paragraph("The same from a shell:", Tone.MUTED)
            yield paragraph(self.command, mark="$ ")
            yield BLANK

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether there is something to copy."""
        return action != "copy" or self.command is not None

    def action_copy(self) -> None:
        """The command, into the terminal's clipboard."""
        if self.command is not None:
            copy_command(self, self.command)


def copy_command(screen: Screen[T], command: str) -> None:
    """A command into the terminal's clipboard, and that it is there as far as anybody can know."""
    screen.app.copy_to_clipboard(command)
    screen.notify(COPIED, title="Copied")


COPIED = "by the terminal (OSC 52); where it does not know that, select it with Shift and the mouse"


def help_sheet(screen: Screen[object]) -> Sheet:
    """How the same is asked from a shell, and the keys that the screen has now."""
    command: str | None = getattr(screen, "CLI_TWIN", None)
    return Sheet("Help", tuple(_help(screen)), command=command)


def _help(screen: Screen[object]) -> Iterator[Paragraph]:
    """The keys of the screen first, then those that move in it, then those of every screen."""
    groups: dict[int, dict[str, list[str]]] = {0: {}, 1: {}, 2: {}}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.tooltip and active.enabled:
            group = 0 if active.node is screen else 2 if active.node is screen.app else 1
            keys = groups[group].setdefault(binding.tooltip, [])
            keys.append(screen.app.get_key_display(binding))
    for found in groups.values():
        for text, keys in found.items():
            name = " ".join(dict.fromkeys(keys))
            yield Paragraph(body=(Piece(text),), mark=Piece(f"{name:<14} ", Tone.KEY))
        if found:
            yield BLANK
    remark: str | None = getattr(screen, "TWIN_REMARK", None)
    if remark is not None:
        yield paragraph(remark, Tone.WARN)
    for sentence in getattr(screen, "READING", READING):
        yield paragraph(sentence, Tone.MUTED)


READING = (
    (
        "▶ the choice of a model: the cheapest lane that meets the demand, or one that is simpler "
        "to operate and costs at most 5 % more. Models are never ranked: quality is not judged."
    ),
    "● typical finish, ┤ 95 % by then, ┊ the deadline, on one logarithmic axis.",
    "✓ meets · ~ likely · ! at risk · ✗ cannot · ? nobody says.",
    (
        "Grade: A and B from your own batches, C from public measurements, D a vendor's word or an "
        "assumption. Completion inside a batch window is not guaranteed: unfinished rows expire, "
        "are not billed, and must be sent again."
    ),
)


class Early(ModalScreen[T]):
    """A screen to type in, to which keys come that were pressed before its field had the focus.

    They went to what was there before, which has no use for them; whoever types on after the key
    that opens a form would lose them. They are kept in their order until there is a field.
    """

    class Typed(Message):
        """A key for the field."""

        def __init__(self, key: str, letter: str | None) -> None:
            super().__init__()
            self.key, self.letter = key, letter

    def takes(self, event: events.Key) -> bool:
        """Whether that key is for the field, which would have had it otherwise; it gets it then."""
        letter = event.character if event.is_printable else None
        ours = letter is not None or event.key in TURNS
        if ours:
            self.post_message(self.Typed(event.key, letter))
        return ours

    def on_early_typed(self, message: Typed) -> None:
        """There is a field now, and it takes them as if they came just now."""
        if self.focused is None:
            return
        if message.letter is None:
            self.turn(TURNS[message.key])
        else:
            self.focused.post_message(events.Key(message.key, message.letter))

    def action_turn(self, by: int) -> None:
        """Tab or Shift+Tab; in its turn with what was typed before, where that is still to come."""
        if self.focused is None:
            self.post_message(self.Typed("tab" if by > 0 else "shift+tab", None))
        else:
            self.turn(by)

    def turn(self, by: int) -> None:
        """To what is next, or the one before; where there is one field alone, nowhere."""


TURNS = {"tab": 1, "shift+tab": -1}


class Form(Early[None]):
    """Lines to type in; `accept` takes their texts and may refuse one with a FieldError."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", tooltip="Change nothing"),
        Binding("ctrl+s", "take", "Take it", tooltip="Ask this"),
        # Before the field sees it: what is typed after a quick Tab belongs to the next field.
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        accept: Callable[[Mapping[str, str]], None],
    ) -> None:
        super().__init__()
        self.heading = title
        self.fields = tuple(fields)
        self._accept = accept
        self._said = Prose(id="said")

    def compose(self) -> ComposeResult:
        """A label and a line for each field."""
        with Vertical(classes="box") as box:
            box.border_title = self.heading
            box.border_subtitle = keys_below(
                ("Enter takes it", "screen.take"),
                ("Tab next field", "screen.turn(1)"),
                ("Esc changes nothing", "screen.dismiss"),
            )
            for number, field in enumerate(self.fields):
                with Vertical(classes="field"):
                    yield Label(field.name)
                    yield Input(
                        field.value, placeholder=field.example, compact=True, id=f"field-{number}"
                    )
            yield self._said

    def turn(self, by: int) -> None:
        """The next field, or the one before."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in any of the lines."""
        event.stop()
        self.action_take()

    def action_take(self) -> None:
        """Hand the texts over; stay open where one cannot be read."""
        texts = {
            field.name: self.query_one(f"#field-{number}", Input).value
            for number, field in enumerate(self.fields)
        }
        try:
            self._accept(texts)
        except FieldError as error:
            self._said.show(problems(error.problems))
            names = [field.name for field in self.fields]
            self.query_one(f"#field-{names.index(error.field)}", Input).focus()
        except PlannerError as error:  # not of a field: the catalog may be broken
            self._said.show(problems(error.problems))
        else:
            self.dismiss()
