"""`planner models`, `check` and `prices`: questions to the catalog, without key or network."""

from __future__ import annotations

from pathlib import Path

from planner import notation
from planner.cli.flags import (
    NO,
    YES,
    Arguments,
    Clock,
    Notation,
    Parser,
    as_of,
    catalog_flags,
    catalog_of,
    output_flags,
    write,
)
from planner.errors import InputError, UnknownFactError

# --- models -----------------------------------------------------------------------------


def _models_flags(made: Parser) -> None:
    made.add_argument("terms", nargs="*", metavar="FILTER", help="part of a name, or batch:yes")
    made.add_argument("--lane", help="answer for this lane only")
    made.add_argument("--provider", help="models of this vendor only")
    catalog_flags(made)
    output_flags(made, ("table", "json", "csv", "md"))


def _models(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = catalog_of(arguments)
    terms = tuple(arguments.get("terms", ()))
    found = lookups.support_matrix(
        catalog,
        on=as_of(arguments, clock()),
        terms=terms,
        lane=arguments.get("lane"),
        provider=arguments.get("provider"),
    )
    if not found:
        raise lookups.no_match(catalog, terms)
    write(facts.MODELS[arguments.get("format", "table")](found), arguments)
    return YES


# --- check ------------------------------------------------------------------------------


def _check_flags(made: Parser) -> None:
    made.add_argument("model", metavar="MODEL")
    made.add_argument("--lane", help="the lane (default: the vendor's batch lane)")
    made.add_argument(
        "--live", action="store_true", help="ask the vendor as well (needs a key; sends nothing)"
    )
    catalog_flags(made)
    output_flags(made, ("table", "json"))


def _check(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = catalog_of(arguments)
    model = catalog.model(arguments["model"])
    on = as_of(arguments, clock())
    answer = lookups.support_answer(catalog, model, arguments.get("lane"), on=on)
    if isinstance(answer, lookups.NoLane):
        write(facts.NO_LANE[arguments.get("format", "table")](answer), arguments)
        return UnknownFactError.exit_code
    now = None
    if "live" in arguments:
        from planner.handoff.providers import live

        _may_be_asked(model.provider)
        now = live.live(catalog, model, answer.support.lane.id, on=on)
    write(facts.CHECK[arguments.get("format", "table")](answer, now), arguments)
    return {"yes": YES, "no": NO}.get(answer.support.state, UnknownFactError.exit_code)


def _may_be_asked(provider: str) -> None:
    """InputError where the policy forbids the vendor, or the address that a key is shown at."""
    from planner.handoff import policy
    from planner.handoff.providers import live, vendors

    if provider in live.SOURCES:
        policy.check_place(policy.read(), provider, vendors.address(provider))


# --- prices -----------------------------------------------------------------------------


def _show_flags(made: Parser) -> None:
    made.add_argument("model", metavar="MODEL")
    made.add_argument("--lane", help="the lane (default: the ordinary one)")
    made.add_argument(
        "--prompt-tokens",
        action=Notation,
        read=notation.whole,
        metavar="N",
        help="the prompt's length, where it decides the price",
    )
    made.add_argument("--region", help="processing in this region")
    made.add_argument(
        "--explain",
        dest="explain_rates",
        action="store_true",
        help="how each rate came about",
    )
    catalog_flags(made)
    output_flags(made, ("table", "json"))


def _show(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import facts

    catalog = catalog_of(arguments)
    answer = lookups.price_answer(
        catalog,
        catalog.model(arguments["model"]),
        arguments.get("lane"),
        on=as_of(arguments, clock()),
        prompt_tokens=arguments.get("prompt_tokens", 0),
        region=arguments.get("region"),
    )
    if arguments.get("explain_rates"):
        write(facts.steps(answer), arguments)
    else:
        write(facts.PRICES[arguments.get("format", "table")](answer), arguments)
    return YES


def _diff_flags(made: Parser) -> None:
    made.add_argument("first", metavar="DATE", action=Notation, read=notation.day)
    made.add_argument("last", metavar="DATE", action=Notation, read=notation.day)
    made.add_argument("terms", nargs="*", metavar="FILTER", help="part of a model's name")
    made.add_argument("--pricing", metavar="DIR", help="your own prices on top")
    output_flags(made, ("table", "json"))


def _diff(arguments: Arguments, _clock: Clock) -> int:
    from planner import lookups
    from planner.report import changes

    found = lookups.changes_between(
        catalog_of(arguments),
        first=arguments["first"],
        last=arguments["last"],
        terms=tuple(arguments.get("terms", ())),
    )
    write(changes.DIFF[arguments.get("format", "table")](found), arguments)
    return YES


def _audit_flags(made: Parser) -> None:
    made.add_argument("--provider", help="this vendor only")
    catalog_flags(made)
    output_flags(made, ("table", "json"))


def _audit(arguments: Arguments, clock: Clock) -> int:
    from planner import lookups
    from planner.report import upkeep

    found = lookups.audited(
        catalog_of(arguments),
        on=as_of(arguments, clock()),
        provider=arguments.get("provider"),
    )
    write(upkeep.AUDIT[arguments.get("format", "table")](found), arguments)
    return NO if found.wanted else YES


def _file_flags(made: Parser) -> None:
    made.add_argument("file", metavar="FILE", help="a vendor's file, or an overlay over one")


def _file(arguments: Arguments, _clock: Clock) -> int:
    from planner.catalog import files

    path = Path(arguments["file"])
    problems = files.check(path)
    if problems:
        raise InputError(*problems)
    write(f"{path}: in order\n", arguments)
    return YES


def _confirm_flags(made: Parser) -> None:
    made.add_argument("source", metavar="SOURCE", help="a source's id, or PROVIDER/ID")
    made.add_argument(
        "--read",
        metavar="DATE",
        action=Notation,
        read=notation.day,
        required=True,
        help="the day you read it and found it as the catalog says",
    )
    made.add_argument("--pricing", metavar="DIR", help="write there (default: your own directory)")


def _confirm(arguments: Arguments, clock: Clock) -> int:
    from planner.catalog import confirm, files
    from planner.report import upkeep

    folder = Path(arguments["pricing"]) if "pricing" in arguments else files.own_folder()
    made = confirm.confirm(
        confirm.known(folder),
        arguments["source"],
        read=arguments["read"],
        on=clock().date(),
        folder=folder,
    )
    write(upkeep.confirmation(made), arguments)
    return YES


COMMANDS = {
    "models": (_models_flags, _models),
    "check": (_check_flags, _check),
    "prices show": (_show_flags, _show),
    "prices diff": (_diff_flags, _diff),
    "prices audit": (_audit_flags, _audit),
    "prices check": (_file_flags, _file),
    "prices confirm": (_confirm_flags, _confirm),
}
