"""Charts on the screen: a widget that draws a picture, and the sheet that holds all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from planner.tui.modals import copy_command
from planner.tui.pieces import HEAT, folded, paragraph
from planner.tui.widgets import Drawn, KeyBar, tone_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual.app import ComposeResult
    from textual.geometry import Size

    from planner.tui.charts import Picture
    from planner.tui.pieces import Line


class Drawing(Drawn):
    """One picture, at the size it is given; a sentence while there is none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {tone_class(shade) for shade in HEAT}

    def __init__(self, waiting: str, *, fill: bool = False) -> None:
        super().__init__()
        self._waiting = paragraph(waiting, mark=" ")
        self._fill = fill
        self.picture: Picture | None = None

    def show(self, picture: Picture | None) -> None:
        """Draw another one."""
        self.picture = picture
        self.redraw()
        if not self._fill:
            self.refresh(layout=True)

    def drawn(self) -> Iterable[Line]:
        """The lines at the widget's size."""
        if self.picture is None:
            return folded([self._waiting], self.size.width)
        return self.picture.lines(self.size.width, self.size.height)

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 -- the library asks with all three
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """What the picture needs to say everything once."""
        return 1 if self.picture is None else self.picture.height(width)


MAP_WAITING = "working out what wins where …"
OTHERS_WAITING = "…"


class Charts(ModalScreen[None]):
    """All pictures of one model; the what-if keys of the screen below go on working."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,q", "dismiss", "Close", key_display="Esc", tooltip="Back to the answer"),
        Binding("tab", "ask('model(1)')", "Model", key_display="Tab", tooltip="The next model"),
        Binding("shift+tab", "ask('model(-1)')", "Model", show=False, tooltip="The model before"),
        Binding("[", "ask('sooner')", "Deadline", key_display="[", tooltip="A shorter deadline"),
        Binding("]", "ask('later')", "Deadline", key_display="]", tooltip="A longer deadline"),
        Binding("-", "ask('halve')", "Volume", key_display="-", tooltip="Half the rows"),
        Binding("+,=", "ask('double')", "Volume", key_display="+", tooltip="Twice the rows"),
        Binding("u", "ask('undo')", "Undo", tooltip="Undo the last change"),
        Binding("down,j", "scroll(2)", "Scroll", key_display="↓", tooltip="Further down"),
        Binding("up,k", "scroll(-2)", "Scroll", show=False, tooltip="Further up"),
        Binding("pagedown,space", "scroll(12)", "Scroll", show=False, tooltip="A page down"),
        Binding("pageup", "scroll(-12)", "Scroll", show=False, tooltip="A page up"),
        Binding("home", "edge(-1)", "Scroll", show=False, tooltip="To the first picture"),
        Binding("end", "edge(1)", "Scroll", show=False, tooltip="To the last picture"),
        Binding("y", "copy", "Copy", tooltip="Copy the command that prints the map"),
        Binding("?", "app.help", "Help", key_display="?", tooltip="The keys of this screen"),
        Binding("f1", "app.help", "Help", key_display="F1", tooltip="The keys of this screen"),
    ]
    READING = (
        (
            "The map: what wins when so many rows are due in that time, the cheapest lane that is "
            "done or one that is simpler to operate and costs at most 5 % more. · nothing meets, "
            "? nothing is known to meet."
        ),
        "Cost against time: a letter at each typical finish, ┤ 95 % by then, ┊ the deadline.",
    )

    def __init__(self, ask: Callable[[str], None], command: Callable[[], str]) -> None:
        """`command` is the one that prints the map of what is asked now."""
        super().__init__()
        self._ask, self._command = ask, command
        self._several = False
        self.drawings = (Drawing(MAP_WAITING), Drawing(OTHERS_WAITING), Drawing(OTHERS_WAITING))

    def compose(self) -> ComposeResult:
        """One under the other; what does not fit is scrolled to."""
        with VerticalScroll(id="charts", can_focus=False):
            yield from self.drawings
        yield KeyBar()

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- as the other screens have it
        """The command that prints the map."""
        return self._command()

    def show(self, pictures: Sequence[Picture | None], *, several: bool) -> None:
        """The map, cost against time, and prompt sizes; of one of `several` models."""
        for drawing, picture in zip(self.drawings, pictures, strict=True):
            drawing.show(picture)
        if several != self._several:
            self._several = several
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Another model is offered where there is one."""
        turns = action == "ask" and str(parameters[0]).startswith("model")
        return self._several or not turns

    def action_ask(self, action: str) -> None:
        """A key of the screen below."""
        self._ask(action)

    def action_scroll(self, lines: int) -> None:
        """Move over the pictures."""
        self.query_one("#charts", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_edge(self, by: int) -> None:
        """To where the pictures begin, or end."""
        pictures = self.query_one("#charts", VerticalScroll)
        pictures.scroll_to(y=0 if by < 0 else pictures.max_scroll_y, animate=False)

    def action_copy(self) -> None:
        """The command, into the terminal's clipboard."""
        copy_command(self, self.CLI_TWIN)
