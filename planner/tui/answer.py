"""The answer on the screen: heading, band, matrix, why and charts, each with one `show`.

None of them knows the session, the core or what a key does; they draw an Answer. Loaded
with the first answer, not with the first paint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container, VerticalScroll
from textual.message import Message

from planner.tui import view
from planner.tui.charts import CostTime, Histogram, LaneMap
from planner.tui.matrix import Matrix, best_row
from planner.tui.pictures import MAP_WAITING, OTHERS_WAITING, Drawing
from planner.tui.pieces import Tone, cut
from planner.tui.table import profile_of, table
from planner.tui.widgets import Drawn, Prose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.app import ComposeResult

    from planner.tui.charts import Picture
    from planner.tui.desk import Answer, Closer, Grid, Loosened
    from planner.tui.pieces import Line, Paragraph
    from planner.tui.table import Table

CHARTS_WIDTH, CHARTS_HEIGHT = 160, 48
"""From this size on there is room for charts under the matrix."""


class Heading(Drawn):
    """What is planned, in one line."""

    answer: Answer | None = None
    remark = ""

    def show(self, answer: Answer) -> None:
        """Another answer's workload, volume and deadline."""
        self.answer = answer
        self.redraw()

    def say(self, remark: str) -> None:
        """What goes on behind the answer."""
        self.remark = remark
        self.redraw()

    def drawn(self) -> Iterable[Line]:
        """The line at the widget's width."""
        if self.answer is not None:
            yield view.heading(self.answer, self.size.width, self.remark)


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
        self.redraw()

    def drawn(self) -> Iterable[Line]:
        """The lines at the widget's width."""
        if self.answer is not None:
            width = self.size.width
            band = view.band(self.answer, self.model, self.loosened, width)
            yield from (cut(line, width) for line in band.lines)


class AnswerView(Container):
    """Heading, band, matrix, why, charts; the band follows the cursor from model to model."""

    class Roomy(Message):
        """There is room for a map now."""

    def __init__(self) -> None:
        super().__init__(id="answer")
        self.heading = Heading()
        self.band = BandLines()
        self.matrix = Matrix()
        self.why = Prose()
        self.drawings = (Drawing(OTHERS_WAITING, fill=True), Drawing(MAP_WAITING, fill=True))
        self.answer: Answer | None = None
        self.loosened: Mapping[str, Loosened] = {}
        self.closer: dict[str, Closer] = {}
        self.grids: dict[str, Grid] = {}

    def compose(self) -> ComposeResult:
        """Top to bottom; a wide screen puts why beside the matrix, a large one charts below."""
        yield self.heading
        yield self.band
        with Container(id="body"):
            yield self.matrix
            with VerticalScroll(id="why", can_focus=False):
                yield self.why
        with Container(id="pictures"):
            yield from self.drawings

    def on_mount(self) -> None:
        """The cursor's keys work at once."""
        self.matrix.focus()

    def enter(self) -> None:
        """To the cursor, where it was left."""
        if self.matrix.is_attached:
            self.matrix.focus()

    @property
    def model(self) -> str | None:
        """The model under the cursor."""
        return None if self.matrix.row is None else self.matrix.row.model

    @property
    def has_room(self) -> bool:
        """Whether charts stand on the screen."""
        return self.has_class("-charts")

    def explanation(self) -> tuple[Paragraph, ...]:
        """The option under the cursor in full."""
        if self.answer is None or self.matrix.cursor is None or self.model is None:
            return ()
        return view.explanation(self.answer, self.matrix.cursor, self.closer.get(self.model))

    def show(self, answer: Answer) -> None:
        """Another answer; the cursor stays on its option, or with the choice it was on."""
        made = table(answer.estimate, runs=answer.inputs.runs)
        cursor = self._cursor(answer, made)
        self.answer, self.loosened = answer, {}
        self.closer, self.grids = {}, {}
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
        """A low screen says less, a large one draws more."""
        size, before = self.screen.size, self.has_room
        self.set_class(size.width >= CHARTS_WIDTH and size.height >= CHARTS_HEIGHT, "-charts")
        self._show_model()
        if self.has_room and not before:
            self.post_message(self.Roomy())

    def hint(self, loosened: Mapping[str, Loosened]) -> None:
        """What would do for the models without an answer."""
        self.loosened = loosened
        self._show_model()

    def look(self, model: str, closer: Closer) -> None:
        """What would change the choice of one model."""
        self.closer[model] = closer
        self._show_model()

    def draw(self, model: str, grid: Grid) -> None:
        """What wins where, for one model."""
        self.grids[model] = grid
        self._show_model()

    def pictures(self) -> tuple[Picture | None, Picture | None, Picture | None]:
        """The map, cost against time, and prompt sizes; None for what is not known yet."""
        if self.answer is None or self.model is None or self.matrix.table is None:
            return (None, None, None)
        estimate, grid = self.answer.estimate, self.grids.get(self.model)
        demand = estimate.job.requirements
        lanes = None
        if grid is not None:
            lanes = LaneMap(
                model=self.model,
                grid=grid,
                rows=estimate.measured.rows,
                deadline=demand.deadline,
                confidence=demand.confidence,
            )
        return (
            lanes,
            CostTime(table=self.matrix.table, cursor=self.matrix.cursor, named=True),
            Histogram(profile=profile_of(estimate, self.model)),
        )

    def on_matrix_moved(self) -> None:
        """Another option, and maybe another model."""
        self._show_model()

    def _show_model(self) -> None:
        row = self.matrix.row
        if self.answer is None or row is None:
            return
        self.band.show(self.answer, row.model, self.loosened)
        brief = self.is_attached and not self.screen.has_class("-tall")
        closer = self.closer.get(row.model)
        self.why.show(view.why(self.answer, row.id, closer, brief=brief))
        if self.has_room and self.matrix.table is not None:
            lanes, _, _ = self.pictures()
            self.drawings[0].show(CostTime(table=self.matrix.table, cursor=self.matrix.cursor))
            self.drawings[1].show(lanes)
