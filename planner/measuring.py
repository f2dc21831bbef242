"""The use case of measuring: a vendor counts pieces of the rows, so that its ratio is known.

Nothing leaves the machine before `say` has been told what goes where, nothing goes where the
policy forbids it, and what was counted once is kept: the same rows are shown to nobody twice.
Measuring without being asked was rejected, however free the calls are: an estimate is a question,
and rows are somebody's data.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from planner.catalog import Model
    from planner.handoff.policy import Policy
    from planner.handoff.vendor import TokenVendor

T = TypeVar("T")


class Measuring:
    """What `pipeline.measure` asks for, over the vendors' free counts; a context manager."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        *,
        region: str | None = None,
        rules: Policy | None = None,
    ) -> None:
        """`folder` keeps the counts; `region` is where the job asks to be processed."""
        self._kept = KeptCounts(folder)
        self._say = say
        self._region = region
        self._rules = policy.read() if rules is None else rules
        self._open: dict[str, TokenVendor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for vendor in self._open.values():
            vendor.close()

    def counting(self, model: Model, texts: Sequence[str]) -> Callable[[str], int] | None:
        """How the model's vendor counts a text; None where it counts none for nothing.

        InputError (exit 2) where the policy forbids it; the function raises VendorError (exit 4).
        """
        if model.provider not in vendors.COUNTS:
            self._say(f"{model.id} is not measured: its vendor counts nothing for planner")
            return None
        vendor: TokenVendor | None = None

        def count(text: str) -> int:
            nonlocal vendor
            kept = self._kept.get(model.provider, model.id, text)
            if kept is not None:
                return kept
            vendor = vendor or self._opened(model, texts)
            tokens = _answered(partial(vendor.count, model.id, text))
            self._kept.put(model.provider, model.id, text, tokens)
            return tokens

        return count

    def _opened(self, model: Model, texts: Sequence[str]) -> TokenVendor:
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
        characters = sum(map(len, texts))
        self._say(
            f"measuring {model.id}: {len(texts):,} pieces of the rows ({characters:,} characters) "
            f"go to {vendors.about(model.provider).name} at {sending.base_url}, which counts their "
            f"tokens free of charge (key: {vendor.account.key_from})"
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
