"""The Plan screen: answer, matrix, why, charts; the states on the way there, and what keys ask.

Every figure on it comes out of `view`, `table` and `charts`; asking the core is `asking`. What
is not on the first paint is imported where it is first used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input

from planner.errors import PlannerError
from planner.tui import notices, session
from planner.tui.asking import Asking, State
from planner.tui.session import Asked, Inputs
from planner.tui.welcome import Welcome
from planner.tui.widgets import KeyBar, Prose, TopBar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from planner.errors import Problem
    from planner.job import Job
    from planner.tui.answer import AnswerView
    from planner.tui.desk import Answer, Desk
    from planner.tui.memory import Remembered
    from planner.tui.pictures import Charts
    from planner.tui.pieces import Paragraph

SKIP_BAD = "--skip-bad-rows"

WHEN = {
    "explain": {State.ANSWERED},
    "sooner": {State.ANSWERED},
    "later": {State.ANSWERED},
    "halve": {State.ANSWERED},
    "double": {State.ANSWERED},
    "own_rows": {State.ANSWERED},
    "charts": {State.ANSWERED},
    "copy": {State.ANSWERED},
    "export": {State.ANSWERED},
    "template": {State.ANSWERED, State.FAILED},
    "undo": {State.ANSWERED, State.FAILED},
    "edit": {State.ANSWERED, State.FAILED},
    "open": {State.ANSWERED, State.FAILED},
    "retry": {State.FAILED},
    "skip_bad": {State.FAILED},
    "sample": {State.WELCOME},
    "figures": {State.WELCOME},
    "stop": {State.COUNTING, State.ANSWERED},
    "back": {State.WELCOME, State.FAILED},
}
"""In which states an action means something; its key is shown only there."""

SHORTLY = 3.0
"""Seconds that a word on a key that does nothing stays."""

HELPS = ("skip_bad", "template", "retry", "edit", "open", "undo")
"""What may be done about a failure."""


class PlanScreen(Asking):
    """What will it cost, when is it done, batch or realtime, and why."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "explain", "Explain", key_display="Enter", tooltip="This option in full"),
        Binding("[", "sooner", "Deadline", key_display="[", tooltip="A shorter deadline"),
        Binding("]", "later", "Deadline", key_display="]", tooltip="A longer deadline, then none"),
        Binding("-", "halve", "Volume", key_display="-", tooltip="Half the rows"),
        Binding("+,=", "double", "Volume", key_display="+", tooltip="Twice the rows"),
        Binding("c", "charts", "Charts", tooltip="What wins where, cost against time, sizes"),
        Binding(
            "e", "edit", "Edit", tooltip="Type deadline, rows, models, answer tokens, runs a month"
        ),
        Binding("y", "copy", "Copy", tooltip="Copy the answer as Markdown"),
        Binding("x", "export", "Export", tooltip="Write CSV, JSON, Markdown, a picture or a plan"),
        Binding("u", "undo", "Undo", tooltip="Undo the last change of what is asked"),
        Binding("p", "template", "Prompt", tooltip="Edit the template, with the first row's text"),
        Binding("0", "own_rows", "Own rows", tooltip="The job's own number of rows again"),
        Binding("r", "retry", "Retry", tooltip="Read the file again"),
        Binding("b", "skip_bad", "Skip bad rows", tooltip="Plan with the rows that can be read"),
        Binding("s", "sample", "Sample", tooltip="The shipped sample: seventy support tickets"),
        Binding("t", "figures", "Type figures", tooltip="No file: type rows and tokens"),
        Binding("o", "open", "Open", tooltip="Another file, or figures without a file"),
        Binding(
            "escape", "stop", "Stop", key_display="Esc", tooltip="Stop counting, keep what is known"
        ),
        Binding("escape", "back", "Back", key_display="Esc", tooltip="One step back"),
    ]

    def __init__(self, desk: Desk, job: Job | None) -> None:
        super().__init__(desk, job)
        self._recent: tuple[Remembered, ...] = ()
        self._wished: tuple[str, ...] = ()
        """Models that were ticked before there was a job to ask of them."""
        self._top = TopBar("Plan")
        self._welcome = Welcome()
        self._notice = Prose(id="notice")
        self._answer: AnswerView | None = None
        self._charts: Charts | None = None
        self._small = Prose(id="small")

    def compose(self) -> ComposeResult:
        """The bars, and the stage between them that each state fills."""
        yield self._top
        yield Container(id="stage")
        yield self._small
        yield KeyBar()

    def on_mount(self) -> None:
        """Paint first; catalog and tokenizer come after."""
        self.enter(self.state)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self.state is State.COUNTING and self.stopping:
            self._leave()  # stopped before it began
        elif self.job is not None:
            self.count(self.session.now)
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
        self._small.show(notices.too_small(event.size.width, event.size.height))

    def on_unmount(self) -> None:
        """What was asked last is what the next run begins with."""
        self._remember()

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- a constant of the other screens
        """The same question as a command line."""
        from planner.tui import twin

        return twin.estimate(self.session.now, *self.desk.same)

    @property
    def TWIN_REMARK(self) -> str | None:  # noqa: N802 -- beside the command
        """What that command cannot say."""
        from planner.tui import twin

        return twin.remark(self.session.now, self.measured.rows) if self.measured else None

    # --- states -------------------------------------------------------------------------

    def enter(self, state: State) -> None:
        """Show what the state is about."""
        self.state = state
        if state is State.WELCOME:
            self._offer()
            self._stage(self._welcome)
            self._welcome.enter()
        elif state is State.ANSWERED and self._answer is not None:
            self._stage(self._answer)
            self._answer.enter()
        else:
            self.set_focus(None)
            failed = state is State.FAILED
            self._notice.set_class(failed, "-failed")
            self._notice.show(self._failure() if failed else self._counting(0, 0))
            self._stage(self._notice)
        self._show_age()
        self.refresh_bindings()

    def _offer(self) -> None:
        """The files before this one."""
        here = self.job.workload if self.job is not None else None
        now = str(here.absolute()) if here is not None else ""
        self._recent = tuple(each for each in self.desk.memory.recent() if each.path != now)
        self._welcome.offer([each.path for each in self._recent], self._wished)

    def _show_age(self) -> None:
        shown = self.shown
        age = shown.estimate.evidence.age_days if shown is not None else None
        self._top.show(notices.freshness(self.desk.on, age))

    @property
    def shown(self) -> Answer | None:
        """The answer that is on the screen, or was before another question."""
        return self._answer.answer if self._answer is not None else None

    @property
    def looked_at(self) -> str | None:
        """The model under the cursor."""
        return self._answer.model if self._answer is not None else None

    @property
    def option_id(self) -> str | None:
        """The option under the cursor."""
        return self._answer.matrix.cursor if self._answer is not None else None

    @property
    def pictured(self) -> bool:
        """Whether a map is on the screen."""
        inline = self._answer is not None and self._answer.has_room
        return inline or self._charts is not None

    def _stage(self, wanted: Widget) -> None:
        stage = self.query_one("#stage")
        if wanted.parent is None:
            stage.mount(wanted)
        for child in stage.children:
            child.display = child is wanted

    def _failure(self) -> tuple[Paragraph, ...]:
        """What is wrong, and the keys that may help."""
        known = {each.action: each for each in self.BINDINGS if isinstance(each, Binding)}
        keys = [
            (known[action].key, known[action].tooltip)
            for action in HELPS
            if self.check_action(action, ())
        ]
        return (*notices.problems(self.problems), *notices.next_keys(keys))

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
        return self.state in WHEN[action] and self._means_something(action)

    def _means_something(self, action: str) -> bool:
        if action == "undo":
            return bool(self.session.earlier)
        if action == "own_rows":
            return self.session.inputs.rows is not None
        if action == "template":
            return self.job is not None and self.job.workload is not None
        if action == "stop":
            return self.state is State.COUNTING or self.tightening
        if action == "skip_bad":
            return any(SKIP_BAD in (problem.hint or "") for problem in self.problems)
        return True

    # --- what the threads bring ---------------------------------------------------------

    def on_asking_progressed(self, message: Asking.Progressed) -> None:
        """Move the bar."""
        if self.state is State.COUNTING and not self.stopping:
            self._notice.show(self._counting(message.rows, message.done))

    def on_asking_failed(self, message: Asking.Failed) -> None:
        """Say what is wrong, where, and what to do."""
        self.failed(message.problems)

    def on_asking_stopped(self, message: Asking.Stopped) -> None:
        """Nothing was known yet: back to what was there before."""
        if message.asked == self.session.now:
            self._tighten(going=False)
            if self.state is State.COUNTING:
                self._leave()

    def failed(self, problems: tuple[Problem, ...]) -> None:
        """Say what is wrong, where, and what to do."""
        self._free()
        self.problems = problems
        self.enter(State.FAILED)

    def accept(self, answer: Answer) -> None:
        """Show the answer to the question of the session."""
        from planner.tui.answer import AnswerView

        place = self._answer = self._answer or AnswerView()
        if self.state is State.COUNTING:
            place.forget()
        place.show(answer)
        self.dim(stale=False)
        if self.state is not State.ANSWERED:
            self.enter(State.ANSWERED)
            self._remember()
        self._tighten(going=self.tightening)
        self._show_age()
        self._draw()

    def _tighten(self, *, going: bool) -> None:
        self.tightening = going
        if self._answer is not None:
            self._answer.heading.say("counting more closely; Esc stops" if going else "")
        self.refresh_bindings()

    def dim(self, *, stale: bool) -> None:
        """Figures that are being recomputed are paler."""
        if self._answer is not None:
            self._answer.set_class(stale, "-stale")

    def on_asking_hinted(self, message: Asking.Hinted) -> None:
        """The hints belong to the answer they were asked for."""
        if self._answer is not None and self.answers(message.asked):
            self._answer.hint(message.loosened)

    def on_asking_looked(self, message: Asking.Looked) -> None:
        """What would change the choice."""
        if self._answer is not None and self.answers(message.asked):
            self._answer.look(message.model, message.closer)

    def on_asking_mapped(self, message: Asking.Mapped) -> None:
        """What wins where."""
        if self._answer is not None and self.answers(message.asked):
            self._answer.draw(message.model, message.grid)
            self._draw()

    def on_answer_view_roomy(self) -> None:
        """A map has room now."""
        self.look()

    def on_matrix_moved(self) -> None:
        """Another option; another model is looked at as well."""
        self.look()
        self._draw()

    def _draw(self) -> None:
        if self._charts is not None and self._answer is not None:
            several = self._answer.matrix.several
            self._charts.show(self._answer.pictures(), several=several)

    # --- keys that change the question ----------------------------------------------------

    def _change(self, inputs: Inputs) -> None:
        self.ask(replace(self.session.now, inputs=inputs))

    def _step(self, inputs: Inputs, at_the_end: str) -> None:
        """A step of a ladder, or why there is none."""
        if inputs == self.session.inputs:
            self.app.clear_notifications()
            self.notify(f"{at_the_end}; e types another", timeout=SHORTLY)
        else:
            self._change(inputs)

    def action_sooner(self) -> None:
        """A shorter deadline."""
        self._step(session.sooner(self.session.inputs), "no key goes below this deadline")

    def action_later(self) -> None:
        """A longer deadline."""
        self._step(session.later(self.session.inputs), "there is no deadline: [ sets one")

    def action_halve(self) -> None:
        """Half the rows."""
        if self.measured is not None:
            halved = session.halved(self.session.inputs, self.measured.rows)
            self._step(halved, "there are no fewer rows")

    def action_double(self) -> None:
        """Twice the rows."""
        if self.measured is not None:
            doubled = session.doubled(self.session.inputs, self.measured.rows)
            self._step(doubled, "no more rows are planned at once")

    def action_own_rows(self) -> None:
        """The job's own volume."""
        self._change(replace(self.session.inputs, rows=None))

    def action_undo(self) -> None:
        """The question before the last change."""
        self.undo()

    def take_models(self, names: tuple[str, ...]) -> None:
        """Ask the same of other models, ticked elsewhere; or the first job of them."""
        if self.job is not None:
            self.ask(replace(self.session.now, job=replace(self.job, models=names)))
        else:
            self._wished = names
            self._offer()

    @property
    def _demanded(self) -> Job | None:
        """What holds for the next job as well: models and demands."""
        if self.job is not None or not self._wished:
            return self.job
        from planner.job import Job

        return Job(models=self._wished)

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
        self.ask(Asked(job=job, inputs=inputs), anew=self.state is State.FAILED)

    def action_template(self) -> None:
        """Edit the template with the first row's request beside it."""
        from planner.tui import forms
        from planner.tui.template import Template

        job = self.job
        if job is None:
            return
        text = job.prompt.text if job.prompt else ""
        editor = Template(text, lambda each: self.desk.preview(forms.with_prompt(job, each)))
        self.app.push_screen(editor, self._templated)

    def _templated(self, text: str | None) -> None:
        from planner.tui import forms

        before = self.job.prompt.text if self.job is not None and self.job.prompt else ""
        if self.job is not None and text is not None and text != before:
            self.ask(replace(self.session.now, job=forms.with_prompt(self.job, text)))

    # --- keys that open something ---------------------------------------------------------

    def action_explain(self) -> None:
        """The option under the cursor in full."""
        from planner.tui import twin
        from planner.tui.modals import Sheet

        option = self.option_id
        if self._answer is not None and option is not None:
            command = twin.estimate(self.session.now, *self.desk.same, "--explain", option)
            self.app.push_screen(Sheet(option, self._answer.explanation(), command=command))

    def on_matrix_chosen(self) -> None:
        """A click on the cursor is Enter."""
        self.action_explain()

    def action_charts(self) -> None:
        """The pictures of the model under the cursor."""
        from planner.tui.pictures import Charts

        self._charts = Charts(self._from_charts, lambda: f"{self.CLI_TWIN} --map")
        self.app.push_screen(self._charts, self._put_away)
        self._draw()
        self.look()

    def _from_charts(self, action: str) -> None:
        """A what-if key that was pressed over the charts."""
        if action == "model(1)" and self._answer is not None:
            self._answer.matrix.action_next_model(1)
        elif action == "model(-1)" and self._answer is not None:
            self._answer.matrix.action_next_model(-1)
        else:
            getattr(self, f"action_{action}")()

    def _put_away(self, _: None) -> None:
        self._charts = None

    def action_copy(self) -> None:
        """The answer as Markdown into the terminal's clipboard."""
        from planner.report import answers

        if self.shown is not None:
            text = answers.ESTIMATE["md"](self.shown.estimate)
            self.app.copy_to_clipboard(text)
            self.notify(notices.copied(text), title="Copied")

    def action_export(self) -> None:
        """A file of the answer, the screen or the plan."""
        from planner.tui import export, exporting

        if self.shown is not None and self.option_id is not None:
            offer = export.of_answer(self.desk, self.shown, self.option_id)
            exporting.hand_out(self, offer)

    # --- another job ----------------------------------------------------------------------

    def action_open(self) -> None:
        """Ask for another file."""
        self.enter(State.WELCOME)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A path was typed; an empty one is the newest of the last ones, or the sample."""
        path = event.value.strip()
        if not path and self._recent:
            path = self._recent[0].path
        self._open(path)

    def action_pick(self, place: int) -> None:
        """One of the files before."""
        self._open(self._recent[place].path)

    def action_sample(self) -> None:
        """The shipped sample."""
        self._open("")

    def _open(self, path: str) -> None:
        from planner.tui import forms

        inputs = Inputs(deadline=self.session.inputs.deadline, runs=self.session.inputs.runs)
        try:
            before = next((each for each in self._recent if each.path == path), None)
            if before is not None and self.job is None:
                job, inputs = forms.remembered(before)
                job = replace(job, models=self._wished or job.models)
            else:
                job = forms.opened(path, self._demanded)
        except PlannerError as error:
            self.failed(error.problems)
            return
        self.ask(Asked(job=job, inputs=inputs), anew=True)

    def action_figures(self) -> None:
        """A job without a file."""
        from planner.tui import forms
        from planner.tui.modals import Form

        fields = forms.figure_fields(self._demanded, self.session.inputs)
        self.app.push_screen(Form("Figures instead of a file", fields, self._figured))

    def _figured(self, texts: Mapping[str, str]) -> None:
        from planner.tui import forms

        job, inputs = forms.from_figures(
            texts, self._demanded, self.session.inputs, self.desk.catalog(), self.desk.now
        )
        self.ask(Asked(job=job, inputs=inputs), anew=True)

    def action_retry(self) -> None:
        """The same once more: the file may have been mended."""
        if self.job is not None:
            self.ask(self.session.now, anew=True)

    def action_skip_bad(self) -> None:
        """Leave out the rows that cannot be read."""
        if self.job is not None:
            job = replace(self.job, skip_bad_rows=True)
            self.ask(replace(self.session.now, job=job), anew=True)

    def action_stop(self) -> None:
        """End the counting with what it knows; once more: without."""
        if self.state is State.ANSWERED:
            self.stop()
            self._tighten(going=False)
        elif self.stopping:
            self._leave()
        else:
            self.stop()
            self._notice.show(notices.stopping())

    def action_back(self) -> None:
        """Out of the field, back to the last answer."""
        if self.state is State.WELCOME and isinstance(self.focused, Input):
            self.set_focus(None)
        else:
            self._leave()

    def _leave(self) -> None:
        """To the last answer, or the welcome where there is none."""
        self._leave_counting()
        shown = self.shown
        if shown is None or self.state is State.FAILED:
            self.enter(State.WELCOME)
            return
        self.session = self.session.asking(shown.asked)
        self.measured = shown.measured
        self.enter(State.ANSWERED)

    # --- from one run to the next -----------------------------------------------------------

    def _remember(self) -> None:
        shown = self.shown
        if shown is None:
            return
        from planner.tui import forms

        kept = forms.worth_remembering(shown.asked)
        if kept is not None:
            self.desk.memory.remember(kept)
