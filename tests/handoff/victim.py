"""A process of its own that runs a job and is killed by the system at one durable step."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from planner.handoff import build as builds
from planner.handoff import followup, rehearsal, spending
from planner.handoff import plan as plans
from planner.handoff.keys import Key, Secret
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.handoff.submit import Submitter
from tests.answers import NOW

SPEED = 200.0


def main(provider: str, base_url: str, home: str, built: str, step: str) -> None:
    """Bring the job to its end, or die at the first durable step of that name."""

    def checkpoint(passed: str) -> None:
        if passed == step:
            os.kill(os.getpid(), signal.SIGKILL)

    plan = plans.read(Path(built) / builds.PLAN)
    key = Key(secret=Secret("rehearsal"), found_in="a test")
    vendor = vendors.open_batches(provider, base_url=base_url, key=key)
    with Ledger.open(Path(home), checkpoint=checkpoint) as ledger, ledger.lock(plan.nonce):
        folder = ledger.job_folder(plan.nonce)
        shutil.copytree(built, folder)
        shards = followup.shards_of(folder)
        clock = rehearsal.clock.Scaled(NOW, SPEED).clock
        job = ledger.admit(
            plan,
            vendor.account,
            vendor.versions,
            shards,
            spending.ceilings(plan, shards),
            None,
            clock.now(),
            rehearsal=True,
        )
        Submitter(ledger, job, plan, shards, folder, vendor, clock, checkpoint=checkpoint).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
