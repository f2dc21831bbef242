"""The application: which places there are, the keys that hold everywhere, and a quiet crash.

A crash must not print local variables: an API key may be among them. So the report names
the exception and its lines of code, and the exit code is that of a defect of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import actions
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.message import Message

from planner.errors import PlannerError, Problem
from planner.tui.plan import PlanScreen
from planner.tui.widgets import PLACES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from textual import events
    from textual.dom import DOMNode
    from textual.screen import Screen
    from textual.theme import Theme

    from planner.job import Job
    from planner.tui.desk import Answer, Desk
    from planner.tui.hands import Hands, Said

WIDTHS = ((0, "-slim"), (60, "-narrow"), (120, "-medium"), (160, "-wide"))
HEIGHTS = ((0, "-flat"), (16, "-short"), (34, "-tall"))
"""Least size -> the class of the screen; below the second step there is no room."""

DEFECT = 70
"""Exit code of a crash; 1 would be a valid no."""


def declared(node: DOMNode) -> Iterator[Binding]:
    """The bindings of its class and its bases; those of the library have no words of ours."""
    for base in type(node).__mro__:
        if base.__module__.startswith("planner."):
            yield from Binding.make_bindings(vars(base).get("BINDINGS", ()))


class PlannerApp(App[None]):
    """The planner on a terminal."""

    TITLE = "planner"
    CSS_PATH = "planner.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "submit", "Submit", tooltip="Send the option under the cursor; asks first"),
        Binding("?", "help", "Help", key_display="?", tooltip="The keys of this screen"),
        Binding("f1", "help", "Help", key_display="F1", tooltip="The keys of this screen"),
        Binding("q", "quit", "Quit", tooltip="Leave; what is at a vendor goes on there"),
        # In a field q is a letter: this one leaves from everywhere, and is shown there.
        Binding(
            "ctrl+q",
            "quit",
            "Quit",
            tooltip="Leave; what is at a vendor goes on there",
            priority=True,
        ),
        *(
            Binding(str(number), f"place('{name}')", name, show=False, tooltip=f"Go to {name}")
            for number, name in enumerate(PLACES, 1)
        ),
    ]

    # A thread posts and goes on: waiting for the loop's answer would hold the exit.

    @dataclass
    class Drafted(Message):
        """The plan of an option is written."""

        plan: Path

    @dataclass
    class Unplanned(Message):
        """Why an option has no plan."""

        found: tuple[Problem, ...]

    def __init__(
        self,
        desk: Desk,
        job: Job | None,
        *,
        place: str = PLACES[0],
        budget: Path | None = None,
    ) -> None:
        # The place that is asked for is painted first; no empty screen comes before it.
        self.DEFAULT_MODE = place  # type: ignore[misc]
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [*WIDTHS]
        self.VERTICAL_BREAKPOINTS = [*HEIGHTS]
        self.desk = desk
        self.budget = budget
        self._themed = self._begin_themed()
        self._job = job
        self._plan: PlanScreen | None = None
        self._hands: Hands | None = None
        for name, make in self._places().items():
            if name != place:
                self.add_mode(name, make)

    def get_default_screen(self) -> Screen[object]:
        """The first place; as a mode from the start it would have every style read twice."""
        return self._places()[self.DEFAULT_MODE]()

    def on_mount(self) -> None:
        """The first place is one among the others, to go back to."""
        self.add_mode(self.DEFAULT_MODE, self._places()[self.DEFAULT_MODE])
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _begin_themed(self) -> str:
        """The theme that was chosen last; where no colour is wanted, none was chosen for that."""
        chosen = None if self.no_color else self.desk.memory.theme()
        if chosen in self.available_themes:
            self.theme = chosen
        return self.theme

    def _keep_theme(self, theme: Theme) -> None:
        """For the next run; the one that this began with is not news."""
        if theme.name != self._themed and not self.no_color:
            self._themed = theme.name
            self.desk.memory.keep_theme(theme.name)

    def _places(self) -> Mapping[str, Callable[[], Screen[object]]]:
        """Each place and what makes its screen; all but the first are loaded when they are asked.

        They share the desk and, where one asks what is planned, the Plan screen.
        """

        def plan() -> Screen[object]:
            self._plan = PlanScreen(self.desk, self._job)
            return self._plan

        def models() -> Screen[object]:
            from planner.tui.models import ModelsScreen

            return ModelsScreen(self.desk)

        def budget() -> Screen[object]:
            from planner.tui.agenda import Source
            from planner.tui.budget import BudgetScreen

            source = Source(file=self.budget, job=self._job, planned=self._planned)
            return BudgetScreen(self.desk, source)

        def jobs() -> Screen[object]:
            from planner.tui.jobs import JobsScreen

            return JobsScreen(self.desk, self._hands_of)

        return {"Plan": plan, "Models": models, "Jobs": jobs, "Budget": budget}

    def _hands_of(self) -> Hands:
        """What acts on jobs, for whichever screen asks first."""
        from planner.tui.hands import Hands

        self._hands = self._hands or Hands(self.desk)
        return self._hands

    def _planned(self) -> Answer | None:
        """The answer on the Plan screen."""
        return self._plan.shown if self._plan is not None else None

    def on_key(self, event: events.Key) -> None:
        """A key that nothing has taken may have been meant for a field that was just opening."""
        takes = getattr(self.screen, "takes", None)
        if takes is not None and takes(event):
            event.prevent_default()

    async def action_place(self, name: str) -> None:
        """Go to another place; each is as it was left. What is typed meanwhile waits for it."""
        await self.switch_mode(name)

    def on_models_screen_chosen(self, message: Message) -> None:
        """Models ticked elsewhere are what Plan is asked of."""
        models: tuple[str, ...] = getattr(message, "models", ())
        self.switch_mode("Plan")
        if self._plan is not None:
            self._plan.take_models(models)

    def pop_screen(self) -> AwaitComplete:
        """Close what is open; a second Esc that was on its way before it closed is for nobody."""
        if len(self.screen_stack) > 1:
            return super().pop_screen()
        return AwaitComplete()

    # --- from Plan to Jobs --------------------------------------------------------------

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether there is an option to submit; everything else goes everywhere."""
        return action != "submit" or self._option() is not None

    def _option(self) -> tuple[Answer, str] | None:
        """The option under the cursor of the Plan screen, if that is what is looked at."""
        plan = self._plan
        if plan is None or plan not in self.screen_stack[-1:] or plan.state != "answered":
            return None
        option = plan.option_id
        return (plan.shown, option) if plan.shown is not None and option is not None else None

    def action_submit(self) -> None:
        """Make a plan of the option, and open the door that sends it."""
        found = self._option()
        if found is not None:
            self.run_worker(lambda: self._draft(*found), thread=True, exclusive=True, group="plan")

    def _draft(self, answer: Answer, option: str) -> None:
        """In a thread: the plan as a file, then the door; or why there is none."""
        from planner.tui import hands

        try:
            self.post_message(self.Drafted(hands.drafted(self.desk, answer, option)))
        except PlannerError as error:
            self.post_message(self.Unplanned(error.problems))

    def on_planner_app_drafted(self, message: Drafted) -> None:
        """Open the door."""
        from planner.tui.submit import Submit

        self.push_screen(Submit(self._hands_of(), message.plan, drafted=True), self._sent)

    def on_planner_app_unplanned(self, message: Unplanned) -> None:
        """Say why there is no plan."""
        from planner.tui import notices
        from planner.tui.modals import Sheet

        self.push_screen(Sheet("Submit", notices.problems(message.found)))

    def on_unmount(self) -> None:
        """Wake every thread that waits for a vendor: the ledger holds the jobs."""
        if self._hands is not None:
            self._hands.leaving.set()

    def _sent(self, said: Said | None) -> None:
        """To Jobs, which follows it."""
        if said is not None:
            self.switch_mode("Jobs")
            self.notify(said.text, severity="information" if said.good else "error")

    def action_help(self) -> None:
        """The keys of the screen that is seen."""
        from planner.tui.modals import help_sheet

        self.push_screen(help_sheet(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the screen, then the library's own."""
        known: set[str] = set()
        for node, binding in self._bound(screen):
            if binding.tooltip not in {"", *known}:
                known.add(binding.tooltip)
                yield SystemCommand(
                    binding.tooltip,
                    f"key {self.get_key_display(binding)}",
                    lambda action=binding.action, node=node: self.call_later(
                        self.run_action, action, node
                    ),
                )
        yield from super().get_system_commands(screen)

    def _bound(self, screen: Screen[object]) -> Iterator[tuple[DOMNode, Binding]]:
        """What may be done now and whose action it is, whatever field would take its key.

        What the row of keys shows comes first, moving about last.
        """
        focused = screen.focused
        nodes = [*(focused.ancestors_with_self if focused is not None else [screen])]
        if self not in nodes:
            nodes.append(self)
        found = [(node, each) for node in nodes for each in declared(node)]
        for node, each in sorted(found, key=lambda pair: not pair[1].show):
            action, parameters = actions.parse(each.action)[1:]
            if node.check_action(action, parameters):
                yield node, each

    def _fatal_error(self) -> None:
        """Leave with a traceback that shows code and no values, and no key that a vendor quoted."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        from planner.handoff import keys

        self.bell()
        self._return_code = DEFECT
        shown = Traceback(show_locals=False, width=None)
        for each in shown.trace.stacks:
            each.exc_value = keys.redacted(each.exc_value)
        self._exit_renderables.append(Segments(self.console.render(shown, self.console.options)))
        self._close_messages_no_wait()
