"""`planner plan`, `plan-diff` and `build`: the decision as a file, and the vendor's own files.

Nothing is sent and no network is touched; what is written appears whole, or not at all.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.cli import estimate, measuring
from planner.cli.flags import YES, Arguments, Clock, Parser, as_of, catalog_of
from planner.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from planner.catalog import Catalog
    from planner.handoff.plan import Plan

FORMATS = ("table", "json")


def _decision_flags(made: Parser) -> None:
    """What decides a plan beyond the job."""
    estimate.job_flags(made)
    measuring.flags(made)
    estimate.request_flags(made)
    made.add_argument("--choose", metavar="OPTION", help="take this option, not the recommended")
    made.add_argument(
        "--accept-assumed", action="store_true", help="plan although the answer length is assumed"
    )
    made.add_argument(
        "--allow-stale", action="store_true", help="plan although a source is too old"
    )
    made.add_argument("--force", action="store_true", help="replace what another job left there")
    made.add_argument("--format", choices=FORMATS, help="how to print (default: table)")


# --- plan -------------------------------------------------------------------------------


def _plan_flags(made: Parser) -> None:
    _decision_flags(made)
    made.add_argument(
        "-o", "--output", metavar="FILE", help="the plan (default: it is printed as it is)"
    )


def _plan(arguments: Arguments, clock: Clock) -> int:
    from planner.handoff import plan as plans
    from planner.report import plan as report

    now = clock()
    path = Path(arguments["output"]) if "output" in arguments else None
    made = _made(arguments, now, catalog_of(arguments), path.parent if path else Path())
    if path is None:
        sys.stdout.write(plans.raw(made).decode())
        return YES
    kept = plans.write(made, path, force=arguments.get("force", False))
    print(f"{'written to' if kept is made else 'unchanged:'} {path}", file=sys.stderr)
    print(report.PLAN[arguments.get("format", "table")](kept, now), end="")
    return YES


def _made(
    arguments: Arguments, now: datetime, catalog: Catalog, folder: Path, *, draft: bool = False
) -> Plan:
    """The plan of the job that the flags state."""
    from planner import drafting, pipeline

    arguments = estimate.with_job_file(arguments)
    wishes = wishes_of(arguments)
    job = estimate.job_of(arguments, now)
    measured = estimate.measured_of(arguments, catalog, job, now)
    answer = pipeline.estimate(
        catalog,
        measured,
        job,
        now=now,
        on=as_of(arguments, now),
        history=estimate.history_of(arguments),
    )
    return drafting.make(answer, wishes, folder, draft=draft)


def wishes_of(arguments: Arguments) -> Any:
    """What a plan is told beyond the job."""
    from planner import drafting

    return drafting.Wishes(
        choose=arguments.get("choose"),
        endpoint=arguments.get("endpoint"),
        schema=estimate.schema_of(arguments),
        params=estimate.params_of(arguments),
        key=arguments.get("key"),
        tags=dict(arguments.get("tags", ())),
        accept_assumed=arguments.get("accept_assumed", False),
        allow_stale=arguments.get("allow_stale", False),
    )


# --- plan-diff --------------------------------------------------------------------------


def _diff_flags(made: Parser) -> None:
    made.add_argument("before", metavar="PLAN")
    made.add_argument("after", metavar="PLAN")
    made.add_argument("--format", choices=FORMATS, help="how to print (default: table)")


def _diff(arguments: Arguments, _clock: Clock) -> int:
    from planner.handoff import plan as plans
    from planner.report import plan as report

    before, after = (plans.read(Path(arguments[name])) for name in ("before", "after"))
    print(report.DIFF[arguments.get("format", "table")](before, after), end="")
    return YES


# --- build ------------------------------------------------------------------------------


def _build_flags(made: Parser) -> None:
    _decision_flags(made)
    made.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="a folder, which appears when whole"
    )


WITH_A_PLAN = {"workload", "output", "force", "format", "pricing", "history"}
"""Flags that go with a plan; the plan itself says everything else."""


def _build(arguments: Arguments, clock: Clock) -> int:
    from planner import drafting
    from planner.report import plan as report

    now = clock()
    catalog = catalog_of(arguments)
    folder = Path(arguments["output"])
    plan, workload = _planned(arguments, now, catalog, folder)
    drafting.fresh(plan, catalog, now, workload)
    ready = drafting.buildable(plan, catalog, workload, now)
    drafting.batches_only(ready)
    with estimate.Bar(workload, doing="building") as bar:
        made = drafting.build(
            ready, catalog, folder, force=arguments.get("force", False), progress=bar
        )
    outlook = drafting.outlook(plan, catalog, now, estimate.history_of(arguments))
    print(report.BUILT[arguments.get("format", "table")](made, plan, now, outlook), end="")
    if plan.tokens.output_basis == "assumed" and not plan.accepted.assumed_output:
        print(
            "warning: the answer length is assumed, so cost and ceiling are too; such a plan is "
            "not for sending (--output-tokens, --output-sample, or --accept-assumed)",
            file=sys.stderr,
        )
    return YES


def _planned(
    arguments: Arguments, now: datetime, catalog: Catalog, folder: Path
) -> tuple[Plan, Path]:
    """The plan that is named, or that of the job the flags state; and where its rows are."""
    from planner.handoff import build as builds
    from planner.handoff import plan as plans

    named = Path(arguments["workload"]) if "workload" in arguments else None
    if named is not None and named.suffix in estimate.JOB_SUFFIXES and plans.is_plan(named):
        more = sorted(set(arguments) - WITH_A_PLAN)
        if more:
            flags = ", ".join(f"--{each.replace('_', '-')}" for each in more)
            raise InputError.of(
                "plan-decides", f"{named} is a plan, which decides that itself: {flags}"
            )
        plan = plans.read(named)
        return plan, plans.workload_path(plan, named.parent)
    plan = _made(arguments, now, catalog, folder, draft=True)
    there = folder / builds.PLAN
    if there.is_file() and plans.same_job(kept := plans.read(there), plan):
        plan = kept
    return plan, plans.workload_path(plan, folder)


COMMANDS = {
    "plan": (_plan_flags, _plan),
    "plan-diff": (_diff_flags, _diff),
    "build": (_build_flags, _build),
}
