"""One way through a workload: every row of a small one, draws from a large one.

Draws know the tokens of any file within the asked precision in about a second, and counting
every row then only makes the last percent exact. So the exact count comes second: whoever
stops it still has the estimate. Stopping with the rows counted so far was rejected: the first
rows of a file say little of the others (34 % off where it is ordered by its source).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner.workload import access, designs, passes, sources
from planner.workload.access import IrregularError
from planner.workload.draws import DEFAULT_PRECISION, Drawer, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.workload.draws import Drawn, Progress
    from planner.workload.passes import Counted
    from planner.workload.prompt import Prompt
    from planner.workload.readers import Workload

SMALL = 4_000_000
"""Bytes of a file of which drawing would tokenise about as much as it holds."""

SMALL_PACKED = 1_000_000
"""The same for files whose rows have no offsets, most of which are compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What is asked of the count.

    `precision` is half the 95 % interval of the tokens, as a share; `edges` are prompt lengths
    in tokens beyond which some model has another price.
    """

    exact: bool = False
    precision: float = DEFAULT_PRECISION
    seed: int = 0
    edges: tuple[int, ...] = ()
    skip_bad: bool = False


def count(
    workload: Workload,
    prompt: Prompt,
    encodings: Iterable[str],
    how: How,
    progress: Progress | None = None,
) -> Counted:
    """Count the workload as it is asked; InputError at a bad row unless those are skipped.

    A StoppedError out of `progress` passes through until there is an estimate, which is then
    kept: `drawn` says so.
    """
    names = tuple(encodings)
    estimate = _drawn(workload, Drawer(prompt, names, edges=how.edges), how, progress)
    if estimate is None:
        return _every_row(workload, prompt, names, how, progress)
    if not how.exact or estimate.stopped:
        return passes.sampled(estimate)
    try:
        return replace(_every_row(workload, prompt, names, how, progress), digest=estimate.digest)
    except StoppedError:
        return passes.sampled(replace(estimate, stopped=True))


def _every_row(
    workload: Workload,
    prompt: Prompt,
    names: tuple[str, ...],
    how: How,
    progress: Progress | None,
) -> Counted:
    return passes.count(workload.rows(skip_bad=how.skip_bad), prompt, names, progress)


def _drawn(workload: Workload, drawer: Drawer, how: How, progress: Progress | None) -> Drawn | None:
    """The estimate; None where the workload is small, or has rows without a size."""
    if access.seekable(workload):
        if workload.bytes <= SMALL:
            return None
        try:
            return designs.by_offset(
                access.scan(workload, progress),
                drawer,
                precision=how.precision,
                seed=how.seed,
                skip_bad=how.skip_bad,
                progress=progress,
            )
        except IrregularError:
            return _from_start(workload, drawer, how, progress)
    if workload.bytes <= SMALL_PACKED:
        return None
    if sources.is_table(workload.path):
        return designs.by_group(
            workload,
            drawer,
            precision=how.precision,
            seed=how.seed,
            skip_bad=how.skip_bad,
            progress=progress,
        )
    return _from_start(workload, drawer, how, progress) if _have_sizes(workload, how) else None


def _from_start(workload: Workload, drawer: Drawer, how: How, progress: Progress | None) -> Drawn:
    return designs.from_start(
        workload.rows(skip_bad=how.skip_bad),
        drawer,
        precision=how.precision,
        seed=how.seed,
        progress=progress,
    )


def _have_sizes(workload: Workload, how: How) -> bool:
    return all(row.size for row in workload.head(skip_bad=how.skip_bad))
