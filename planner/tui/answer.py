"""The answer on the screen: heading, band, matrix and why, each with one `show`.

None of them knows the session, the core or what a key does; they draw an Answer. Loaded
with the first answer, not with the first paint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container, VerticalScroll

from planner.tui import view
from planner.tui.matrix import Matrix, best_row
from planner.tui.pieces import Tone, cut
from planner.tui.table import table
from planner.tui.widgets import Drawn, Prose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.content import Content

    from planner.tui.desk import Answer, Loosened
    from planner.tui.pieces import Paragraph
    from planner.tui.table import Table


class Heading(Drawn):
    """What is planned, in one line."""

    answer: Answer | None = None

    def show(self, answer: Answer) -> None:
        """Another answer's workload, volume and deadline."""
        self.answer = answer
        self.refresh()

    def render(self) -> Content:
        """The line at the widget's width."""
        if self.answer is None:
            return self.content([])
        return self.content([view.heading(self.answer, self.size.width)])


class BandLines(Drawn):
    """The answer for one model, in three lines."""

    answer: Answer | None = None
    model = ""
    loosened: Mapping[str, Loosened] = {}

    def show(self, answer: Answer, model: str, loosened: Mapping[str, Loosened]) -> None:
        """Another answer, or another model's."""
        self.answer, self.model, self.loosened = answer, model, loosened
        tone = view.band(answer, model, loosened, 80).tone
        self.set_class(tone is Tone.BAD, "-none")
        self.refresh()

    def render(self) -> Content:
        """The lines at the widget's width."""
        if self.answer is None:
            return self.content([])
        width = self.size.width
        band = view.band(self.answer, self.model, self.loosened, width)
        return self.content(cut(line, width) for line in band.lines)


class AnswerView(Container):
    """Heading, band, matrix and why; the band follows the cursor from model to model."""

    def __init__(self) -> None:
        super().__init__(id="answer")
        self.heading = Heading()
        self.band = BandLines()
        self.matrix = Matrix()
        self.why = Prose()
        self.answer: Answer | None = None
        self.loosened: Mapping[str, Loosened] = {}

    def compose(self) -> ComposeResult:
        """Top to bottom; a wide screen puts why beside the matrix."""
        yield self.heading
        yield self.band
        with Container(id="body"):
            yield self.matrix
            with VerticalScroll(id="why", can_focus=False):
                yield self.why

    def on_mount(self) -> None:
        """The cursor's keys work at once."""
        self.matrix.focus()

    def enter(self) -> None:
        """To the cursor, where it was left."""
        if self.matrix.is_attached:
            self.matrix.focus()

    def explanation(self) -> tuple[Paragraph, ...]:
        """The option under the cursor in full."""
        if self.answer is None or self.matrix.cursor is None:
            return ()
        return view.explanation(self.answer, self.matrix.cursor)

    def show(self, answer: Answer) -> None:
        """Another answer; the cursor stays on its option, or with the choice it was on."""
        made = table(answer.estimate)
        cursor = self._cursor(answer, made)
        self.answer, self.loosened = answer, {}
        self.heading.show(answer)
        self.matrix.show(made, cursor)
        self._show_model()

    def forget(self) -> None:
        """The next answer is another job's: its cursor begins at the choice."""
        self.matrix.cursor = None

    def _cursor(self, answer: Answer, made: Table) -> str:
        row = self.matrix.row
        if row is None:
            return answer.estimate.decision.choice or best_row(made, made.rows[0].model).id
        stays = any(each.id == row.id for each in made.rows)
        models = {each.model for each in made.rows}
        if stays and not row.chosen:
            return row.id
        return best_row(made, row.model if row.model in models else made.rows[0].model).id

    def on_resize(self) -> None:
        """A low screen says less."""
        self._show_model()

    def hint(self, loosened: Mapping[str, Loosened]) -> None:
        """What would do for the models without an answer."""
        self.loosened = loosened
        self._show_model()

    def on_matrix_moved(self) -> None:
        """Another option, and maybe another model."""
        self._show_model()

    def _show_model(self) -> None:
        row = self.matrix.row
        if self.answer is not None and row is not None:
            self.band.show(self.answer, row.model, self.loosened)
            brief = self.is_attached and not self.screen.has_class("-tall")
            self.why.show(view.why(self.answer, row.id, brief=brief))
