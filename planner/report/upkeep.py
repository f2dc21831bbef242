"""What keeps the catalog true, as text and as data: the audit, a checked file, a confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report import evidence
from planner.report.layout import as_json, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planner.catalog.audit import Finding
    from planner.catalog.confirm import Confirmation
    from planner.lookups import Audit
    from planner.report.evidence import Json

TITLES = {
    "stale": "too old to plan with",
    "begun": "come since anybody read the source",
    "retires": "retires within 60 days",
    "ahead": "changes within 60 days",
    "aging": "not read for 90 days",
    "no-price": "offered without a known price",
    "support-unknown": "support that nobody states",
}
"""The kinds of findings in the order they are told."""


def audit(found: Audit) -> str:
    """The findings by kind; what to do comes last."""
    lines = [f"{found.on}: {_count(found.findings)}; catalog {found.digest[:19]}"]
    for code, title in TITLES.items():
        of_kind = [each for each in found.findings if each.code == code]
        if of_kind:
            mark = "!" if of_kind[0].action else "-"
            lines += ["", f"{mark} {title}: {len(of_kind)}"]
            lines += [wrapped(_told(each), first="    ", later=" " * 6) for each in of_kind]
    if found.wanted:
        lines += ["", "Read these again, and say so: planner prices confirm SOURCE --read DATE"]
        lines += list(_reading_list(found.findings))
    return "\n".join(lines) + "\n"


def _count(findings: Sequence[Finding]) -> str:
    wanted = sum(each.action for each in findings)
    things = "nothing needs" if not wanted else "1 needs" if wanted == 1 else f"{wanted} need"
    return f"{things} action, {len(findings) - wanted} to know"


def _told(finding: Finding) -> str:
    return f"{finding.provider}: {finding.message}"


def _reading_list(findings: Sequence[Finding]) -> Iterator[str]:
    """Each source once, with the name that `confirm` takes."""
    wanted = {
        f"{each.provider}/{each.source.id}": each.source.url
        for each in findings
        if each.action and each.source is not None
    }
    yield from (f"    {name}  {url}" for name, url in wanted.items())


def audit_data(found: Audit) -> Json:
    """`planner.audit/1`."""
    return {
        "schema": "planner.audit/1",
        "as_of": found.on.isoformat(),
        "digest": found.digest,
        "action": found.wanted,
        "findings": [
            {
                "code": each.code,
                "action": each.action,
                "provider": each.provider,
                "models": list(each.models),
                "lane": each.lane,
                "date": None if each.date is None else each.date.isoformat(),
                "message": each.message,
                "source": evidence.data(each.source),
            }
            for each in found.findings
        ],
    }


AUDIT: Mapping[str, Callable[[Audit], str]] = {
    "table": audit,
    "json": lambda found: as_json(audit_data(found)),
}


def confirmation(made: Confirmation) -> str:
    """What was written, where, and what it means."""
    source = made.source
    return (
        f"{made.provider}/{source.id}: read {made.read}, before {source.read_as}\n"
        f"  {source.url}\n"
        f"wrote to {made.path}:\n"
        f"  confirmed:\n  {made.line}\n"
    )
