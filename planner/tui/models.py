"""The Models screen: which model runs in batch, at what price, says who, read when.

The filter has the focus from the start; a key typed is a term narrowed. What a row says and
what a term means is in `support`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from planner.errors import PlannerError, Problem
from planner.tui import notices
from planner.tui.listing import Listing
from planner.tui.places import Place
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from planner.tui.desk import Desk
    from planner.tui.support import Found, Shelf


RETRY = "Read the pricing files again, once they are mended"


class ModelsScreen(Place):
    """The support matrix under a filter."""

    NAME = "Models"
    READING = (
        "● yes · ○ no · ? nobody says: neither yes nor no, ask the vendor's own list of models.",
        (
            "price: the batch lane's over the ordinary one's; in and out: US dollars per million "
            "tokens of the ordinary lane; verified: when the oldest source of the row was read."
        ),
        "Terms are parts of a name, or LANE:yes, LANE:no, LANE:unknown; all of them must fit.",
    )
    AUTO_FOCUS = "#filter"
    BINDINGS: ClassVar[list[BindingType]] = [
        # Before the field's own: what is typed narrows, Enter and the arrows are the list's.
        Binding(
            "enter",
            "evidence",
            "Evidence",
            key_display="Enter",
            tooltip="Every lane of the model, and who says so",
            priority=True,
        ),
        Binding(
            "up", "move(-1)", "Model", key_display="↑", tooltip="The model above", priority=True
        ),
        Binding(
            "down", "move(1)", "Model", key_display="↓", tooltip="The model below", priority=True
        ),
        Binding("pageup", "move(-10)", "Ten up", show=False, tooltip="Ten models up"),
        Binding("pagedown", "move(10)", "Ten down", show=False, tooltip="Ten models down"),
        Binding("space", "tick", "Tick", key_display="Space", tooltip="Tick it for a plan"),
        Binding("p", "plan", "Plan", tooltip="Ask Plan of the ticked models"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Type into the filter"),
        Binding("b", "state", "Batch?", tooltip="Batch: yes, no, unknown, all"),
        Binding("x", "export", "Export", tooltip="Write these models to a file, or a picture"),
        Binding("escape", "leave", "List", key_display="Esc", tooltip="Out of the field"),
        Binding("escape", "clear", "Clear", key_display="Esc", tooltip="Clear the filter"),
        Binding("r", "retry", "Retry", tooltip=RETRY),
    ]

    @dataclass
    class Stocked(Message):
        """The catalog is looked through."""

        shelf: Shelf

    @dataclass
    class Chosen(Message):
        """The models to plan with, each PROVIDER/MODEL."""

        models: tuple[str, ...]

    @dataclass
    class Failed(Message):
        """It could not be read."""

        problems: tuple[Problem, ...]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.shelf: Shelf | None = None
        self.broken = False
        self.found: Found | None = None
        self.ticked: tuple[str, ...] = ()
        self.field = Input(compact=True, id="filter")
        self.search = Container(self.field, id="search")
        self.counts = Prose(id="counts")
        self.listing = Listing()
        self.none = Prose(id="none")

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- as the other screens have it
        """What is filtered, as a table."""
        return self._command()

    def _command(self, *more: str) -> str:
        terms = self.found.terms if self.found is not None else ()
        return shlex.join(["planner", "models", *terms, *self.desk.same, *more])

    def compose_stage(self) -> ComposeResult:
        """The filter, what it leaves, and how many those are."""
        yield self.search
        yield self.counts
        yield self.listing
        yield self.none

    def on_mount(self) -> None:
        """Paint first, look up afterwards, in a thread."""
        # Every key narrows; a message from the field would come after its frame.
        self.watch(self.field, "value", self._filter, init=False)
        self.none.display = False
        self.counts.show(notices.looking_up())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.run_worker(self._look_up, thread=True, group="catalog")

    def _look_up(self) -> None:
        """In a thread."""
        try:
            from planner.tui import support

            self.post_message(self.Stocked(support.shelf(self.desk.catalog(), on=self.desk.on)))
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))

    def on_models_screen_stocked(self, message: Stocked) -> None:
        """Everything is there: filter by what was typed meanwhile."""
        from planner.tui import support

        self.shelf = message.shelf
        self._break(broken=False)
        self.field.placeholder = support.example(message.shelf)
        self.top.show(notices.freshness(self.desk.on, support.age(message.shelf)))
        self._filter(self.field.value)

    def on_models_screen_failed(self, message: Failed) -> None:
        """Say what is wrong with the catalog, and what to do."""
        self._break(broken=True)
        self.counts.show(())
        self.none.show((*notices.problems(message.problems), *notices.next_keys([("r", RETRY)])))
        self.listing.display, self.none.display = False, True
        self.refresh_bindings()

    def _break(self, *, broken: bool) -> None:
        """A field that narrows nothing would swallow the keys that help."""
        if broken is not self.broken:
            self.broken, self.search.display = broken, not broken
            self.set_focus(None if broken else self.field)

    def action_retry(self) -> None:
        """The catalog once more."""
        self.counts.show(notices.looking_up())
        self._begin()

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether there is a model to choose or to look at."""
        if action == "retry":
            return self.broken
        means = {
            "state": not self.broken,
            "filter": not self.broken and self.focused is not self.field,
            "leave": self.focused is self.field,
            "clear": bool(self.field.value) and self.focused is not self.field,
            "plan": bool(self.ticked),
            "export": self.found is not None and not self.broken and not self.found.none,
        }
        if action in means:
            return means[action]
        return action not in {"evidence", "move", "tick"} or self.listing.cursor is not None

    def _filter(self, text: str) -> None:
        if self.shelf is None:
            return
        from planner.tui import support

        self.found = found = support.filtered(self.shelf, text, frozenset(self.ticked))
        self.listing.show(found.grid)
        self._count()
        if found.none or self.none.display:
            self.none.show(found.none)
        self.listing.display, self.none.display = not found.none, bool(found.none)
        self.refresh_bindings()

    def _count(self) -> None:
        from planner.tui import support

        found, cursor = self.found, self.listing.cursor
        if found is None:
            return
        room = self.listing.scrollable_content_region.width
        cut = cursor is not None and support.is_cut(found, self.listing.place, room)
        whole = cursor if cursor is not None and cut else ""
        width, ticked = self.counts.size.width, len(self.ticked)
        self.counts.show_lines((support.heading(found, ticked, width, whole),))

    def takes(self, event: events.Key) -> bool:
        """Whether that key is for the filter, which had no focus yet as it was typed."""
        ours = event.is_printable and self.focused is self.field
        if ours:
            self.field.post_message(events.Key(event.key, event.character))
        return ours

    def on_resize(self, event: events.Resize) -> None:
        """Another width has other words."""
        super().on_resize(event)
        self.call_after_refresh(self._count)

    def on_listing_moved(self) -> None:
        """Another model: its whole id."""
        self._count()

    def on_descendant_focus(self) -> None:
        """What is typed goes into the field now, or is a key."""
        self.refresh_bindings()

    def on_listing_chosen(self) -> None:
        """A click on the cursor is Enter."""
        self.action_evidence()

    def action_evidence(self) -> None:
        """Who says so."""
        from planner.tui import support
        from planner.tui.modals import Sheet

        if self.shelf is not None and self.listing.cursor is not None and self.listing.display:
            model = self.listing.cursor
            command = shlex.join([*support.twin(self.shelf, model), *self.desk.same])
            evidence = support.evidence(self.shelf, model)
            self.app.push_screen(Sheet(model, evidence, command=command))

    def action_move(self, by: int) -> None:
        """The arrows choose, while letters are typed."""
        self.listing.action_move(by)

    def action_tick(self) -> None:
        """Into the plan, or out of it; the ticked ones stay while the filter goes on."""
        model = self.listing.cursor
        if model is not None:
            others = tuple(each for each in self.ticked if each != model)
            self.ticked = others if model in self.ticked else (*others, model)
            self._filter(self.field.value)

    def action_plan(self) -> None:
        """Plan, on these models."""
        self.post_message(self.Chosen(self.ticked))

    def action_export(self) -> None:
        """What the filter has left, to a file."""
        from planner.tui import export, exporting, support

        if self.shelf is not None and self.found is not None:
            found = support.answers(self.shelf, self.found)
            exporting.hand_out(self, export.of_models(found, self._command))

    def action_filter(self) -> None:
        """Into the field."""
        self.field.focus()

    def action_state(self) -> None:
        """The next of batch:yes, batch:no, batch:unknown, none."""
        if self.shelf is not None:
            from planner.tui import support

            self.field.value = support.next_state(self.shelf, self.field.value)

    def action_leave(self) -> None:
        """Out of the field."""
        self.listing.focus()

    def action_clear(self) -> None:
        """Every model again."""
        self.field.value = ""
