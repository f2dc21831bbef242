"""The Plan screen: answer, matrix, why; and the states on the way there.

Holds a session, what was measured and the newest answer, each frozen; every figure on it
comes out of `view` and `table`. Counting and deciding run in thread workers: the file is
read once, a what-if key asks the core again with what was measured. What is not on the
first paint is imported where it is first used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import get_current_worker

from planner.errors import PlannerError, Problem
from planner.tui import notices, session
from planner.tui.desk import Answer, CancelledError, Desk, Loosened
from planner.tui.pieces import paragraph
from planner.tui.session import Inputs, Session
from planner.tui.welcome import Welcome
from planner.tui.widgets import KeyBar, Prose, TopBar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from planner.job import Job
    from planner.pipeline import Measured
    from planner.tui.answer import AnswerView
    from planner.tui.pieces import Paragraph

STALE_AFTER = 0.15
"""Seconds until figures that are being recomputed are dimmed."""

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
SKIP_BAD = "--skip-bad-rows"


class State(StrEnum):
    """What the screen is about."""

    WELCOME = "welcome"
    COUNTING = "counting"
    FAILED = "failed"
    ANSWERED = "answered"


WHEN = {
    "explain": {State.ANSWERED},
    "sooner": {State.ANSWERED},
    "later": {State.ANSWERED},
    "halve": {State.ANSWERED},
    "double": {State.ANSWERED},
    "own_rows": {State.ANSWERED},
    "undo": {State.ANSWERED},
    "edit": {State.ANSWERED, State.FAILED},
    "open": {State.ANSWERED, State.FAILED},
    "retry": {State.FAILED},
    "skip_bad": {State.FAILED},
    "sample": {State.WELCOME},
    "figures": {State.WELCOME},
    "back": {State.WELCOME, State.COUNTING, State.FAILED},
}
"""In which states an action means something; its key is shown only there."""


class PlanScreen(Screen[object]):
    """What will it cost, when is it done, batch or realtime, and why."""

    CLI_TWIN = "planner estimate FILE --model MODEL --deadline 6h --explain OPTION"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "explain",
            "Explain",
            key_display="Enter",
            tooltip="The arithmetic of this option",
        ),
        Binding("[", "sooner", "Deadline", key_display="[", tooltip="A shorter deadline"),
        Binding("]", "later", "Deadline", key_display="]", tooltip="A longer deadline, then none"),
        Binding("-", "halve", "Volume", key_display="-", tooltip="Half the rows"),
        Binding("+,=", "double", "Volume", key_display="+", tooltip="Twice the rows"),
        Binding(
            "e", "edit", "Edit", tooltip="Type deadline, rows, models, answer tokens and prompt"
        ),
        Binding("u", "undo", "Undo", tooltip="Undo the last change of deadline or rows"),
        Binding("0", "own_rows", "Own rows", tooltip="The job's own number of rows again"),
        Binding("r", "retry", "Retry", tooltip="Read the file again"),
        Binding("b", "skip_bad", "Skip bad rows", tooltip="Plan with the rows that can be read"),
        Binding("s", "sample", "Sample", tooltip="The shipped sample: seventy support tickets"),
        Binding("t", "figures", "Type figures", tooltip="No file: type rows and tokens"),
        Binding("o", "open", "Open", tooltip="Another file, or figures without a file"),
        Binding("escape", "back", "Back", key_display="Esc", tooltip="Stop, or one step back"),
    ]

    @dataclass
    class Progressed(Message):
        """So many rows and bytes are counted."""

        rows: int
        done: int

    @dataclass
    class Counted(Message):
        """The counting is done, with its first answer."""

        measured: Measured
        answer: Answer

    @dataclass
    class Failed(Message):
        """It could not be counted or answered."""

        problems: tuple[Problem, ...]

    @dataclass
    class Answered(Message):
        """A what-if was answered."""

        answer: Answer

    @dataclass
    class Hinted(Message):
        """What would do for the models without an answer."""

        inputs: Inputs
        loosened: Mapping[str, Loosened]

    def __init__(self, desk: Desk, job: Job | None) -> None:
        super().__init__()
        self.desk = desk
        self.job = job
        deadline = job.requirements.deadline if job is not None else None
        self.session = Session(inputs=Inputs(deadline=deadline))
        self.state = State.WELCOME if job is None else State.COUNTING
        self.measured: Measured | None = None
        self.problems: tuple[Problem, ...] = ()
        self._busy = False
        self._top = TopBar("Plan")
        self._welcome = Welcome()
        self._notice = Prose(id="notice")
        self._answer: AnswerView | None = None
        self._small = Prose(id="small")

    def compose(self) -> ComposeResult:
        """The bars, and the stage between them that each state fills."""
        yield self._top
        yield Container(id="stage")
        yield self._small
        yield KeyBar()

    def on_mount(self) -> None:
        """Paint first; catalog and tokenizer come after."""
        self._enter(self.state)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self.job is not None:
            self._count(self.job)
        else:
            self.run_worker(self._load, thread=True, group="catalog")

    def _load(self) -> None:
        """In a thread: have the catalog ready while the person types."""
        try:
            self.desk.catalog()
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))

    def on_resize(self, event: events.Resize) -> None:
        """Below the least size, say which size is needed (the style sheet hides the rest)."""
        self._small.show(
            [
                paragraph(
                    f"planner needs {LEAST_WIDTH} x {LEAST_HEIGHT} characters; this terminal has "
                    f"{event.size.width} x {event.size.height}. Enlarge it, or q to leave."
                )
            ]
        )

    # --- states -------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        self.state = state
        if state is State.WELCOME:
            self._stage(self._welcome)
            self._welcome.enter()
        elif state is State.ANSWERED and self._answer is not None:
            self._stage(self._answer)
            self._answer.enter()
        else:
            self.set_focus(None)
            failed = state is State.FAILED
            self._notice.set_class(failed, "-failed")
            self._notice.show(notices.problems(self.problems) if failed else self._counting(0, 0))
            self._stage(self._notice)
        self._show_age()
        self.refresh_bindings()

    def _show_age(self) -> None:
        shown = self._shown
        age = shown.estimate.evidence.age_days if shown is not None else None
        self._top.show(notices.freshness(self.desk.on, age))

    @property
    def _shown(self) -> Answer | None:
        """The answer that is on the screen, or was before another job."""
        return self._answer.answer if self._answer is not None else None

    def _stage(self, wanted: Widget) -> None:
        stage = self.query_one("#stage")
        if wanted.parent is None:
            stage.mount(wanted)
        for child in stage.children:
            child.display = child is wanted

    def _counting(self, rows: int, done: int) -> tuple[Paragraph, ...]:
        path = self.job.workload if self.job is not None else None
        name = path.name if path else "figures"
        size = path.stat().st_size if path is not None and path.is_file() else 0
        return notices.counting(name, rows, done, size, self.size.width)

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether the action means something now; its key is hidden where it does not."""
        if action not in WHEN:
            return True
        if self.state not in WHEN[action]:
            return False
        if action == "undo":
            return bool(self.session.earlier)
        if action == "own_rows":
            return self.session.inputs.rows is not None
        if action == "skip_bad":
            return any(SKIP_BAD in (problem.hint or "") for problem in self.problems)
        return True

    # --- counting -----------------------------------------------------------------------

    def _count(self, job: Job) -> None:
        """Count a job from its beginning, in a thread."""
        self.job = job
        self._enter(State.COUNTING)
        inputs = self.session.inputs
        self.run_worker(
            lambda: self._counted(job, inputs), thread=True, exclusive=True, group="count"
        )

    def _counted(self, job: Job, inputs: Inputs) -> None:
        """In a thread: measure and answer; a stop comes out of the progress reports."""
        worker = get_current_worker()

        def report(rows: int, done: int) -> None:
            if worker.is_cancelled:
                raise CancelledError
            self.post_message(self.Progressed(rows, done))

        try:
            measured = self.desk.measure(job, report)
            answer = self.desk.answer(measured, inputs)
            import planner.tui.answer  # noqa: F401 -- here, where loading it holds up nobody
        except CancelledError:
            return
        except PlannerError as error:
            message: Message = self.Failed(error.problems)
        else:
            message = self.Counted(measured, answer)
        if not worker.is_cancelled:
            self.post_message(message)

    def on_plan_screen_progressed(self, message: Progressed) -> None:
        """Move the bar."""
        if self.state is State.COUNTING:
            self._notice.show(self._counting(message.rows, message.done))

    def on_plan_screen_counted(self, message: Counted) -> None:
        """The first answer of a job."""
        if self.state is State.COUNTING:
            from planner.tui.answer import AnswerView

            self.measured = message.measured
            self._answer = self._answer or AnswerView()
            self._answer.forget()
            self._accept(self._answer, message.answer)

    def on_plan_screen_failed(self, message: Failed) -> None:
        """Say what is wrong, where, and what to do."""
        self._busy = False
        self.problems = message.problems
        self._enter(State.FAILED)

    # --- what-if ------------------------------------------------------------------------

    def _change(self, inputs: Inputs) -> None:
        self.session = self.session.with_inputs(inputs)
        self._recompute()

    def _recompute(self) -> None:
        """Ask the core for the newest inputs; one question at a time, the last one wins."""
        self.refresh_bindings()
        measured, inputs = self.measured, self.session.inputs
        if self._busy or measured is None or self._answers(inputs):
            return
        self._busy = True
        self.workers.cancel_group(self, "hints")
        self.set_timer(STALE_AFTER, self._dim)
        self.run_worker(lambda: self._decided(measured, inputs), thread=True, group="answer")

    def _answers(self, inputs: Inputs) -> bool:
        """Whether what is shown answers these inputs."""
        return self._shown is not None and self._shown.inputs == inputs

    def _decided(self, measured: Measured, inputs: Inputs) -> None:
        """In a thread."""
        try:
            self.post_message(self.Answered(self.desk.answer(measured, inputs)))
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))

    def _dim(self) -> None:
        if self._answer is not None:
            self._answer.set_class(self._busy, "-stale")

    def on_plan_screen_answered(self, message: Answered) -> None:
        """Show the newest answer; one that was overtaken by a key is asked again."""
        self._busy = False
        if message.answer.inputs != self.session.inputs:
            self._recompute()
        elif self.state is State.ANSWERED and self._answer is not None:
            self._accept(self._answer, message.answer)

    def _accept(self, place: AnswerView, answer: Answer) -> None:
        place.show(answer)
        place.remove_class("-stale")
        if self.state is not State.ANSWERED:
            self._enter(State.ANSWERED)
        self._show_age()
        measured = self.measured
        if measured is not None and any(
            each.choice is None for each in answer.estimate.decision.models
        ):
            self.run_worker(
                lambda: self._hinted(measured, answer), thread=True, exclusive=True, group="hints"
            )

    def _hinted(self, measured: Measured, answer: Answer) -> None:
        """In a thread: which longer deadline would do."""
        worker = get_current_worker()
        found = self.desk.loosened(measured, answer, stop=lambda: worker.is_cancelled)
        if not worker.is_cancelled:
            self.post_message(self.Hinted(answer.inputs, found))

    def on_plan_screen_hinted(self, message: Hinted) -> None:
        """The hints belong to the answer they were asked for."""
        if self._answer is not None and self._answers(message.inputs):
            self._answer.hint(message.loosened)

    # --- keys ---------------------------------------------------------------------------

    def action_sooner(self) -> None:
        """A shorter deadline."""
        self._change(session.sooner(self.session.inputs))

    def action_later(self) -> None:
        """A longer deadline."""
        self._change(session.later(self.session.inputs))

    def action_halve(self) -> None:
        """Half the rows."""
        if self.measured is not None:
            self._change(session.halved(self.session.inputs, self.measured.rows))

    def action_double(self) -> None:
        """Twice the rows."""
        if self.measured is not None:
            self._change(session.doubled(self.session.inputs, self.measured.rows))

    def action_own_rows(self) -> None:
        """The job's own volume."""
        self._change(replace(self.session.inputs, rows=None))

    def action_undo(self) -> None:
        """The inputs before the last change."""
        self.session = self.session.undone()
        self._recompute()

    def action_explain(self) -> None:
        """The option under the cursor in full."""
        from planner.tui.modals import Sheet

        if self._answer is not None and self._answer.matrix.cursor is not None:
            self.app.push_screen(Sheet(self._answer.matrix.cursor, self._answer.explanation()))

    def on_matrix_chosen(self) -> None:
        """A click on the cursor is Enter."""
        self.action_explain()

    def action_edit(self) -> None:
        """Type what the keys step through, and what they cannot reach."""
        from planner.tui import forms
        from planner.tui.modals import Form

        if self.job is None:
            return
        own = self.measured.rows if self.measured and self.state is State.ANSWERED else None
        fields = forms.edit_fields(self.job, self.session.inputs, own)
        self.app.push_screen(Form("Edit", fields, self._edited))

    def _edited(self, texts: Mapping[str, str]) -> None:
        from planner.tui import forms

        assert self.job is not None
        job, inputs = forms.edited(
            texts, self.job, self.session.inputs, self.desk.catalog(), self.desk.now
        )
        if self.measured is not None and inputs.rows == self.measured.rows:
            inputs = replace(inputs, rows=None)
        if job != self.job or self.state is State.FAILED:
            self.session = self.session.with_inputs(inputs)
            self._count(job)
        else:
            self._change(inputs)

    def action_open(self) -> None:
        """Ask for another file."""
        self._enter(State.WELCOME)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A path was typed; an empty one is the sample."""
        self._open(event.value)

    def action_sample(self) -> None:
        """The shipped sample."""
        self._open("")

    def _open(self, path: str) -> None:
        from planner.tui import forms

        try:
            job = forms.opened(path, self.job)
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))
            return
        self.session = Session(inputs=Inputs(deadline=self.session.inputs.deadline))
        self._count(job)

    def action_figures(self) -> None:
        """A job without a file."""
        from planner.tui import forms
        from planner.tui.modals import Form

        fields = forms.figure_fields(self.job, self.session.inputs)
        self.app.push_screen(Form("Figures instead of a file", fields, self._figured))

    def _figured(self, texts: Mapping[str, str]) -> None:
        from planner.tui import forms

        job, inputs = forms.from_figures(
            texts, self.job, self.session.inputs, self.desk.catalog(), self.desk.now
        )
        self.session = Session(inputs=inputs)
        self._count(job)

    def action_retry(self) -> None:
        """The same once more: the file may have been mended."""
        if self.job is not None:
            self._count(self.job)

    def action_skip_bad(self) -> None:
        """Leave out the rows that cannot be read."""
        if self.job is not None:
            self._count(replace(self.job, skip_bad_rows=True))

    def action_back(self) -> None:
        """Out of the field, out of the counting, back to the last answer or the welcome."""
        if self.state is State.WELCOME and isinstance(self.focused, Input):
            self.set_focus(None)
            return
        self.workers.cancel_group(self, "count")
        if self.measured is not None and self.state is not State.FAILED:
            self.job = self.measured.job
            self._enter(State.ANSWERED)
        else:
            self._enter(State.WELCOME)
