"""`planner submit`, `resume`, `fetch`, `cancel`, `jobs` and `doctor`: the hand-off on a terminal.

Nothing is sent before everything that a yes is given to stood on the screen. What goes on is
told on stderr; stdout has the answer alone. An interrupt may come at any moment: what must
survive it is in the ledger before it is done, so it ends with the line that goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.cli import estimate
from planner.cli.flags import INTERRUPTED, NO, YES, Arguments, Clock, Parser, catalog_of
from planner.errors import InputError, PlannerError, VendorError
from planner.handoff import home
from planner.handoff.clock import Clock as Ticking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from planner.handing import Event, Handoff, Ready, Seat, Terms
    from planner.handoff.submit import Step

FORMATS = ("table", "json")
REFUSED = VendorError.exit_code


def ticking(clock: Clock) -> Ticking:
    """The machine's own time; a test puts another in its place."""
    return Ticking(now=clock, sleep=time.sleep, pause=asyncio.sleep)


# --- what the commands share ------------------------------------------------------------


def _common(made: Parser) -> None:
    made.add_argument("--format", choices=FORMATS, help="how to print (default: table)")
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")


def _driving(made: Parser) -> None:
    """What a job that is driven may be told."""
    made.add_argument(
        "--on-unknown",
        choices=("ask", "rearm"),
        help="when no batch is found after a lost reply: ask (default), or send again",
    )
    made.add_argument("--max-cost", metavar="USD", help="cap of the job, in place of the plan's")
    made.add_argument("--once", action="store_true", help="one step, for a scheduler; then resume")
    made.add_argument("--base-url", metavar="URL", help="where the vendor is reached")
    made.add_argument(
        "--accept-short", action="store_true", help="take results that stay below the counts"
    )
    _common(made)


def _seat(arguments: Arguments, clock: Clock, narrator: Narrator) -> Seat:
    from planner.handing import Seat

    return Seat(
        catalog=catalog_of(arguments),
        clock=narrator.over(ticking(clock)),
        data=home.data_home(),
        narrate=narrator,
    )


def _terms(arguments: Arguments) -> Terms:
    from planner.handing import Terms

    return Terms(
        max_cost=_dollars(arguments),
        base_url=arguments.get("base_url"),
        on_unknown=arguments.get("on_unknown", "ask"),
        form=arguments.get("answers", "jsonl"),
        accept_short=arguments.get("accept_short", False),
        both=arguments.get("both", False),
        doubts=arguments.get("doubts"),
        ours=tuple(arguments.get("ours", ())),
    )


def _dollars(arguments: Arguments) -> Any:
    from planner.money import usd

    if "max_cost" not in arguments:
        return None
    amount = usd(arguments["max_cost"].removeprefix("$"))
    if amount is None:
        raise InputError.of(
            "bad-option", f"--max-cost {arguments['max_cost']!r}: give US dollars, such as 12.50"
        )
    return amount


class Narrator:
    """What happens, on stderr: a line for each event, and on a terminal one that says how far."""

    REDRAW_AFTER = 0.2

    def __init__(self, clock: Clock, *, stamp: bool = True) -> None:
        self.clock = clock
        self.stamp = stamp
        self.live = sys.stderr.isatty()
        self.handoff: Handoff | None = None
        self.drawn = 0.0

    def __call__(self, event: Event) -> None:
        """Tell it."""
        from planner.handoff.submit import News
        from planner.report import handoff as report

        if isinstance(event, News):
            line = report.news(event)
            if line is not None:
                self.say(line, event.at)
        elif hasattr(event, "text"):
            self.say(event.text, self.clock())
        else:
            self.show(report.pace(event))

    def say(self, line: str, at: datetime) -> None:
        """A line that stays."""
        from planner.report.layout import printable

        stamp = f"{at:%H:%M:%S} " if self.stamp else ""
        self.clear()
        print(f"{stamp}{printable(line)}", file=sys.stderr)

    def over(self, clock: Ticking) -> Ticking:
        """The same clock; on a terminal a wait says how far the job is."""
        if not self.live:
            return clock

        def sleep(seconds: float) -> None:
            while seconds > 0:
                self._waits(seconds)
                clock.sleep(min(seconds, 1.0))
                seconds -= 1.0

        return Ticking(now=clock.now, sleep=sleep, pause=clock.pause)

    def _waits(self, left: float) -> None:
        """How far the job is, and when the vendor is asked again."""
        from planner import standing
        from planner.report import handoff as report

        handoff = self.handoff
        if handoff is None:
            return
        job = handoff.job
        attempts = handoff.ledger.attempts(job.id)
        rows = standing.rows(job, attempts, handoff.folder)
        elapsed = (self.clock() - job.created).total_seconds()
        self.show(report.going(rows, handoff.ready.plan, elapsed, left))

    def show(self, line: str) -> None:
        """The line that is drawn over."""
        now = time.monotonic()
        if self.live and now - self.drawn >= self.REDRAW_AFTER:
            self.drawn = now
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Whatever was drawn goes."""
        if self.live:
            sys.stderr.write("\r\x1b[K")


@contextlib.contextmanager
def _safely(name: Callable[[], str | None]) -> Iterator[None]:
    """An interrupt, said with the line that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise _InterruptedError.of("interrupted", _how_to_go_on(name())) from None


def _how_to_go_on(job: str | None) -> str:
    if job is None:
        return "interrupted: nothing was sent"
    return (
        "interrupted: nothing is lost. What is at the vendor goes on there; here it goes on with\n"
        f"  planner resume {job}".rstrip()
    )


class _InterruptedError(PlannerError):
    """Somebody pressed Ctrl-C, which is no mistake."""

    exit_code = INTERRUPTED

    def render(self) -> str:
        """On a line of its own, behind what was drawn."""
        return f"\n{self.problems[0].message}"


# --- submit -----------------------------------------------------------------------------


def _submit_flags(made: Parser) -> None:
    made.add_argument("plan", metavar="PLAN", help="what planner plan wrote")
    made.add_argument("--rehearse", action="store_true", help="against a vendor on loopback")
    made.add_argument(
        "--canary", metavar="N", type=int, help="so many rows in realtime first, to see a mistake"
    )
    made.add_argument("--yes", action="store_true", help="without asking; only with --max-cost")
    _driving(made)


def _submit(arguments: Arguments, clock: Clock) -> int:
    from planner import handing
    from planner.handoff import plan as plans

    path = Path(arguments["plan"])
    _how_to_agree(arguments)
    if arguments.get("rehearse"):
        return _rehearse(arguments, clock, path)
    narrator = Narrator(clock)
    started: list[str] = []
    with _safely(lambda: started[0] if started else None):
        seat, terms = _seat(arguments, clock, narrator), _terms(arguments)
        workload = plans.workload_path(plans.read(path), path.parent)
        with (
            estimate.Bar(workload, doing="building") as bar,
            handing.submitting(path, _with_bar(seat, bar), terms) as handoff,
        ):
            narrator.clear()  # the bar of the build
            if not _agreed(handoff, arguments, clock()):
                print("nothing was sent", file=sys.stderr)
                return NO
            started.append(handoff.admit().id)
            narrator.handoff = handoff
            _try_first(handoff, arguments, narrator)
            return _driven(handoff, arguments, narrator)


def _with_bar(seat: Seat, bar: estimate.Bar) -> Seat:
    from dataclasses import replace

    return replace(seat, progress=bar)


def _how_to_agree(arguments: Arguments) -> None:
    """--yes is for scripts, and a script without a cap spends what nobody has seen."""
    if arguments.get("yes") and "max_cost" not in arguments:
        raise InputError.of("usage", "--yes goes only with --max-cost", hint="--yes --max-cost 25")
    if arguments.get("canary", 1) < 1:
        raise InputError.of("bad-option", "--canary: give a number of rows of at least 1")


def _agreed(handoff: Handoff, arguments: Arguments, now: datetime) -> bool:
    """Show what a yes is given to, and hear it; a job that was agreed to before is not asked."""
    from planner.money import dollars
    from planner.report import handoff as report
    from planner.words import counted

    ready = handoff.ready
    print(report.READY["table"](ready, now), end="", file=sys.stderr)
    if "canary" in arguments:
        most = dollars(handoff.first_rows().ceiling(arguments["canary"]))
        some = counted(arguments["canary"], "row")
        said = f"  canary    {some} in realtime first, at most {most} on top"
        print(said, file=sys.stderr)
    if ready.job is not None:
        return True
    if arguments.get("yes"):
        return _still_can(ready)
    if not sys.stdin.isatty():
        raise InputError.of(
            "not-agreed",
            "nothing is sent without a yes, and nobody can be asked here",
            hint="--yes with --max-cost USD says it",
        )
    rows = ready.built.rows
    print(f"Type {rows:,} (the number of rows) or yes to send them: ", end="", file=sys.stderr)
    sys.stderr.flush()
    said = sys.stdin.readline().strip().lower()
    return said == "yes" or said.replace(",", "") == str(rows)


def _still_can(ready: Ready) -> bool:
    """A yes that was given before it was known that the option can no longer run is none."""
    if ready.outlook.why_not is None:
        return True
    print(
        f"{ready.outlook.why_not}: --yes is not enough for that; plan again, or say yes yourself",
        file=sys.stderr,
    )
    return False


def _try_first(handoff: Handoff, arguments: Arguments, narrator: Narrator) -> None:
    """A few rows in realtime, where they are asked for and nothing was sent yet."""
    from planner.report import handoff as report

    found = handoff.try_first(arguments["canary"]) if "canary" in arguments else None
    if found is not None:
        narrator.say(f"canary: {report.first_rows(found)}", narrator.clock())


def _driven(handoff: Handoff, arguments: Arguments, narrator: Narrator) -> int:
    """Drive a job to its end, or one step; what became of it is printed."""
    if handoff.finished:
        return _over(handoff, arguments)
    once = bool(arguments.get("once"))
    drive = handoff.drive(reopen=not once)
    for line in getattr(drive, "announcement", tuple)():
        narrator.say(line, narrator.clock())
    if once:
        step = drive.once()
        if step.over is None:
            return _stepped(handoff, step)
    else:
        drive.run()
    return _over(handoff, arguments)


def _stepped(handoff: Handoff, step: Step) -> int:
    """One step of more: what it did, and when another one is worth taking."""
    from planner.report.layout import printable
    from planner.words import duration

    shard = "" if step.shard is None else f" (shard {step.shard})"
    because = f": {step.because}" if step.because else ""
    later = f"; the next step in {duration(step.wait)}" if step.wait else "; there is more to do"
    print(printable(f"{handoff.job.id}: {step.did}{shard}{because}{later}"))
    return YES


def _over(handoff: Handoff, arguments: Arguments) -> int:
    """Print how it ended; 0 all rows answered, 1 some are not, 4 the vendor refused."""
    from planner import handing
    from planner.report import handoff as report

    job, found = handoff.job, handoff.tally()
    billed = handoff.ledger.exposure(job.id).billed
    more = handing.follow_up(handoff.ledger, job, handoff.now) if found.unfinished else None
    handoff.learn()
    answers = str(handoff.folder / "out")
    shown = report.ENDED[arguments.get("format", "table")](job, found, billed, answers, more)
    print(shown, end="")
    if any(each.state == "held" for each in handoff.ledger.attempts(job.id)):
        print(
            f"look at the vendor whether the batch is there. If it is not, planner resume "
            f"{job.id} --on-unknown rearm sends its rows again",
            file=sys.stderr,
        )
    if job.state == "stopped" and handing.refused(handoff.ledger, job):
        return REFUSED
    whole = found.outcomes["succeeded"] == found.rows
    return YES if whole else NO


def _rehearse(arguments: Arguments, clock: Clock, path: Path) -> int:
    """The whole life of a job, told as it would be."""
    from planner import rehearsing
    from planner.report import handoff as report

    narrator = Narrator(clock)
    with _safely(lambda: None):
        found = rehearsing.rehearse(
            path,
            catalog_of(arguments),
            clock(),
            _terms(arguments),
            narrator,
            canary=arguments.get("canary"),
        )
    print(report.REHEARSED[arguments.get("format", "table")](found), end="")
    return YES if found.step.over == "done" else NO


# --- resume, fetch, cancel --------------------------------------------------------------


def _vouching(made: Parser) -> None:
    made.add_argument(
        "--ours",
        metavar="BATCH",
        action="append",
        help="you have looked: this batch, found by its size alone, is yours and may be ended",
    )


def _resume_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", nargs="?", help="the beginning of its id; else all")
    _vouching(made)
    made.add_argument(
        "--both",
        action="store_true",
        help="a rescue: also send rows of a batch that does not end, which may be paid twice",
    )
    made.add_argument(
        "--doubts",
        metavar="N",
        type=int,
        help="single requests that may be in doubt before it stops (default: 1 in 100 rows)",
    )
    _driving(made)


def _resume(arguments: Arguments, clock: Clock) -> int:
    from planner import handing

    narrator = Narrator(clock)
    if "job" not in arguments:
        if "ours" in arguments:
            raise InputError.of("usage", "--ours is said of the batch of one job: name the job")
        return _resume_all(arguments, clock, narrator)
    with _safely(lambda: arguments["job"]):
        seat, terms = _seat(arguments, clock, narrator), _terms(arguments)
        with handing.resuming(arguments["job"], seat, terms) as handoff:
            handoff.admit()
            narrator.handoff = handoff
            return _driven(handoff, arguments, narrator)


def _resume_all(arguments: Arguments, clock: Clock, narrator: Narrator) -> int:
    """Every job that is not over, side by side; the worst of their exit codes.

    Of a job that stopped only what is out is brought home: whoever resumes them all has not
    looked at why each of them stopped.
    """
    from planner import standing

    seat, terms = _seat(arguments, clock, narrator), _terms(arguments)
    with standing.home_ledger(seat.data) as ledger:
        names = [each.job.id for each in standing.standings(ledger) if _goes_on(ledger, each)]
    if not names:
        print("nothing to resume: every job is over", file=sys.stderr)
        return YES
    with _safely(lambda: ""), contextlib.ExitStack() as stack:
        opened = [_one_of_all(stack, name, seat, terms) for name in names]
        codes = [each for each in opened if isinstance(each, int)]
        going = [each for each in opened if not isinstance(each, int)]
        codes += _side_by_side(list(going), arguments, seat)
        for handoff, _drive in going:
            _who_waits(handoff)
    return max(codes)


def _goes_on(ledger: Any, it: Any) -> bool:
    from planner.handoff import rescue

    return it.plan is not None and not it.running and not rescue.over(ledger, it.job)


def _one_of_all(
    stack: contextlib.ExitStack, name: str, seat: Seat, terms: Terms
) -> tuple[Handoff, Any] | int:
    """A job and what drives it; the exit code where it cannot go on, which ends no other one."""
    from planner import handing

    try:
        handoff = stack.enter_context(handing.resuming(name, seat, terms))
        handoff.admit()
        return handoff, handoff.drive(reopen=False)
    except PlannerError as refused:
        return _told(refused)


def _told(refused: PlannerError) -> int:
    print(refused.render(), file=sys.stderr)
    return refused.exit_code


def _who_waits(handoff: Handoff) -> None:
    """A job that a person has to look at, and the line that goes on with it."""
    job = handoff.job
    if job.state == "stopped":
        print(f"{job.id} waits for you; it goes on with planner resume {job.id}", file=sys.stderr)


def _side_by_side(
    going: list[tuple[Handoff, Any]], arguments: Arguments, seat: Seat
) -> Iterator[int]:
    """A step of each in turn, until all are over; with --once, one of each."""
    while going:
        waits = []
        for pair in tuple(going):
            found = _next_step(*pair, arguments)
            if isinstance(found, int):
                going.remove(pair)
                yield found
            else:
                waits.append(found)
        if waits and min(waits) > 0:
            seat.clock.sleep(min(waits))


def _next_step(handoff: Handoff, drive: Any, arguments: Arguments) -> int | float:
    """Seconds until the step after this one (a float), or the exit code where none follows."""
    try:
        step = drive.once()
        if step.over is not None:
            return _over(handoff, arguments)
        if arguments.get("once"):
            return _stepped(handoff, step)
    except PlannerError as refused:
        return _told(refused)
    return float(step.wait)


def _fetch_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", help="the beginning of its id")
    made.add_argument(
        "--format", dest="answers", choices=("jsonl", "csv"), help="of the answers: jsonl, csv"
    )
    made.add_argument("-o", "--output", metavar="FILE", help="put the answers there as well")
    made.add_argument("--base-url", metavar="URL", help="where the vendor is reached")
    made.add_argument(
        "--accept-short", action="store_true", help="take results that stay below the counts"
    )
    made.add_argument("--json", action="store_true", help="print what came of it as JSON")
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")


def _fetch(arguments: Arguments, clock: Clock) -> int:
    """Bring home what is over, and write the answers; without a key where all is here."""
    from planner import handing

    narrator = Narrator(clock)
    with _safely(lambda: arguments["job"]):
        seat, terms = _seat(arguments, clock, narrator), _terms(arguments)
        fetched = handing.fetch(arguments["job"], seat, terms)
    return _fetched(fetched, arguments)


def _fetched(fetched: Any, arguments: Arguments) -> int:
    from planner.report import handoff as report

    answers = str(fetched.file)
    if "output" in arguments:
        _copy(fetched.file, Path(arguments["output"]))
        answers = arguments["output"]
    form = "json" if arguments.get("json") else "table"
    shown = report.ENDED[form](fetched.job, fetched.tally, fetched.billed, answers, fetched.more)
    print(shown, end="")
    return YES if fetched.tally.outcomes["succeeded"] == fetched.tally.rows else NO


def _copy(made: Path, to: Path) -> None:
    """The answers where they are wanted, whole or not at all, for nobody else to read."""
    import shutil

    part = to.with_name(f"{to.name}.part")
    try:
        home.private_file(part)
        shutil.copyfile(made, part)
        part.replace(to)
    except OSError as error:
        raise InputError.of("cannot-write", f"{to}: {error.strerror}") from None


def _cancel_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", help="the beginning of its id")
    made.add_argument("--once", action="store_true", help="ask for the end, and do not wait for it")
    _vouching(made)
    made.add_argument("--base-url", metavar="URL", help="where the vendor is reached")
    _common(made)


def _cancel(arguments: Arguments, clock: Clock) -> int:
    """Nothing more is sent, what is out is ended, what is done is brought home."""
    from planner import handing

    narrator = Narrator(clock)
    with _safely(lambda: arguments["job"]):
        seat, terms = _seat(arguments, clock, narrator), _terms(arguments)
        with handing.resuming(arguments["job"], seat, terms, sends=False) as handoff:
            narrator.handoff = handoff
            step = handoff.cancel(once=bool(arguments.get("once")))
            if step.over is None:
                return _stepped(handoff, step)
            code = _over(handoff, arguments)
            return REFUSED if code == REFUSED else YES


# --- jobs -------------------------------------------------------------------------------


def _jobs_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", nargs="?", help="one job: shards, dates, events")
    made.add_argument("--watch", action="store_true", help="until every job is over, or Ctrl-C")
    made.add_argument("--format", choices=FORMATS, help="how to print (default: table)")
    made.epilog = "planner jobs import PROVIDER and planner jobs purge ID: see their --help."


WATCH_EVERY = 2.0
"""Seconds; the ledger is read, nobody is asked."""
EVENTS = 10


def _jobs(arguments: Arguments, clock: Clock) -> int:
    data = home.data_home()
    if not (data / home.LEDGER).exists() and "job" not in arguments:
        from planner.report import jobs as report

        print(report.LISTING[arguments.get("format", "table")]((), clock()), end="")
        return YES
    sleep = ticking(clock).sleep
    while True:
        shown, over = _look(arguments, data, clock())
        if arguments.get("watch") and sys.stdout.isatty():
            sys.stdout.write("\x1b[2J\x1b[H")
        print(shown, end="", flush=True)
        if over or not arguments.get("watch"):
            return YES
        sleep(WATCH_EVERY)


def _look(arguments: Arguments, data: Path, now: datetime) -> tuple[str, bool]:
    """What is shown, and whether nothing of it will move by itself."""
    from planner import standing
    from planner.report import jobs as report

    form = arguments.get("format", "table")
    with standing.home_ledger(data) as ledger:
        if "job" in arguments:
            it = standing.standing(ledger, arguments["job"])
            notes = standing.recent(ledger, it.job, EVENTS)
            return report.ONE[form](it, notes, now), not it.running
        found = standing.standings(ledger)
        return report.LISTING[form](found, now), not any(each.running for each in found)


def _import_flags(made: Parser) -> None:
    made.add_argument("provider", metavar="PROVIDER", help="whose list of batches")
    made.add_argument("--model", metavar="M", help="of all of them, where the list says none")
    made.add_argument("--most", metavar="N", type=int, help="the newest N (default: 100)")
    made.add_argument("--base-url", metavar="URL", help="where the vendor is reached")
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")


MOST_IMPORTED = 100


def _import(arguments: Arguments, _clock: Clock) -> int:
    """What other tools sent, as history for the next estimate."""
    from planner import handing, standing
    from planner.handoff.ledger import Ledger
    from planner.handoff.providers import vendors
    from planner.report import jobs as report

    provider, catalog = arguments["provider"], catalog_of(arguments)
    vendor = handing.opened(provider, arguments.get("base_url"))
    try:
        with Ledger.open(home.data_home()) as ledger:
            found = handing.asked(
                lambda: standing.take_over(
                    ledger,
                    vendor,
                    catalog,
                    most=arguments.get("most", MOST_IMPORTED),
                    model=arguments.get("model"),
                )
            )
    finally:
        vendor.close()
    print(report.imported(found, vendors.about(provider).name), end="")
    return YES


def _purge_flags(made: Parser) -> None:
    made.add_argument("job", metavar="ID", help="the beginning of its id")
    made.add_argument("--yes", action="store_true", help="without asking")


def _purge(arguments: Arguments, clock: Clock) -> int:
    """Prompts and answers go; what it cost stays in the ledger."""
    from planner import standing
    from planner.handoff.ledger import Ledger

    data = home.data_home()
    standing.home_ledger(data).close()
    with Ledger.open(data) as ledger:
        job = ledger.job(arguments["job"])
        if not arguments.get("yes") and not _sure(job.id):
            print("nothing was removed", file=sys.stderr)
            return NO
        job, size = standing.purge(ledger, job.id, clock())
    print(f"purged {job.id}: {size:,} bytes of prompts and answers are gone from this machine")
    return YES


def _sure(job_id: str) -> bool:
    if not sys.stdin.isatty():
        raise InputError.of("not-agreed", "removing asks first", hint="--yes says it")
    print(
        f"Type {job_id} or yes to remove its prompts and answers: ", end="", file=sys.stderr,
    )  # fmt: skip
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in (job_id, "yes")


# --- doctor -----------------------------------------------------------------------------


def _doctor_flags(made: Parser) -> None:
    _common(made)


def _doctor(arguments: Arguments, clock: Clock) -> int:
    """Exit 1 where something is wrong."""
    from planner import doctor
    from planner.report import jobs as report

    found = doctor.examine(lambda: catalog_of(arguments), home.data_home(), clock())
    print(report.HEALTH[arguments.get("format", "table")](found), end="")
    return NO if any(each.grade == "wrong" for each in found) else YES


COMMANDS = {
    "submit": (_submit_flags, _submit),
    "resume": (_resume_flags, _resume),
    "fetch": (_fetch_flags, _fetch),
    "cancel": (_cancel_flags, _cancel),
    "jobs": (_jobs_flags, _jobs),
    "jobs import": (_import_flags, _import),
    "jobs purge": (_purge_flags, _purge),
    "doctor": (_doctor_flags, _doctor),
}
