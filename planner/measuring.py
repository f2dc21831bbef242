"""The use case of measuring: a vendor counts pieces of the rows, so that its ratio is known.

Nothing leaves the machine before `say` has been told what goes where, nothing goes where the
policy forbids it, and what was counted once is kept: the same rows are shown to nobody twice.
Where a vendor's own pages do not say that counting is free, somebody agrees first. Measuring
without being asked was rejected, however free the calls are: an estimate is a question, and rows
are somebody's data.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from planner.errors import VendorError
from planner.handoff import policy
from planner.handoff.policy import Sending
from planner.handoff.providers import vendors
from planner.handoff.providers.kept_counts import KeptCounts
from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError
from planner.words import counted
from planner.workload.calibration import MOST_CHARACTERS, Reply, UnansweredError
from planner.workload.tokens import Grade

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Model
    from planner.handoff.policy import Policy
    from planner.handoff.vendor import TokenVendor
    from planner.workload.calibration import Inquiry
    from planner.workload.tokens import Counter

T = TypeVar("T")


class Measuring:
    """What `pipeline.measure` asks for, over the vendors' own counts; a context manager."""

    most = MOST_CHARACTERS

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        *,
        agree: Callable[[], bool],
        region: str | None = None,
        rules: Policy | None = None,
    ) -> None:
        """`folder` keeps the counts; `region` is where the job asks to be processed.

        `agree` is asked, after `say`, where it is not known that a vendor counts for nothing.
        """
        self._kept = KeptCounts(folder)
        self._say = say
        self._agree = agree
        self._region = region
        self._rules = policy.read() if rules is None else rules
        self._open: dict[str, TokenVendor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for vendor in self._open.values():
            vendor.close()

    def betters(self, counter: Counter) -> bool:
        """Whatever the vendor has not said itself."""
        return counter.grade is not Grade.EXACT

    def counts(self, model: Model, counter: Counter, inquiry: Inquiry) -> Reply:
        """The vendor's counts; UnansweredError where it gives none, or nobody agreed.

        InputError (exit 2) where the policy forbids it, VendorError (exit 4).
        """
        del counter
        if model.provider not in vendors.COUNTS:
            raise UnansweredError(
                f"{model.id} is not measured: its vendor counts nothing for planner"
            )
        vendor: TokenVendor | None = None
        counts = []
        for text in inquiry.questions:
            tokens = self._kept.get(model.provider, model.id, text)
            if tokens is None:
                vendor = vendor or self._opened(model, inquiry)
                tokens = _answered(partial(vendor.count, model.id, text))
                self._kept.put(model.provider, model.id, text, tokens)
            counts.append(tokens)
        return Reply(counts=tuple(counts), grade=Grade.MEASURED, by="the vendor's own counts")

    def _opened(self, model: Model, inquiry: Inquiry) -> TokenVendor:
        """The vendor, under the policy, after it was said what it will see."""
        sending = Sending(
            provider=model.provider,
            model=model.id,
            region=self._region,
            base_url=vendors.address(model.provider),
            kept=False,
        )
        policy.check(self._rules, sending)
        if model.provider not in self._open:
            self._open[model.provider] = _answered(partial(vendors.open_counts, model.provider))
        vendor = self._open[model.provider]
        policy.check(self._rules, replace(sending, account=vendor.account))
        free = vendors.COUNTS[model.provider].free
        self._say(
            f"measuring {model.id}: {counted(len(inquiry.pieces), 'piece')} of the rows "
            f"({inquiry.characters:,} characters) go to {vendors.about(model.provider).name} at "
            f"{sending.base_url}, which counts their tokens"
            f"{' free of charge' if free else '; that this is free is not established'} "
            f"(key: {vendor.account.key_from})"
        )
        if not free and not self._agree():
            raise UnansweredError(
                f"{model.id} is not measured: that its vendor counts free of charge is not "
                "established, and nobody agreed (--yes)"
            )
        return vendor


def _answered(call: Callable[[], T]) -> T:
    """What a vendor answers; VendorError (exit 4) where it does not."""
    try:
        return call()
    except (RefusedError, NotSentError, AmbiguousError) as error:
        raise VendorError.of(
            "not-counted", str(error), hint="without --measure nothing is asked of a vendor"
        ) from None
