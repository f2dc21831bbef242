"""What every test stands on: no network, no settings or keys of the person who runs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.answers import NOW, Answer, Ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

ROOT = Path(__file__).resolve().parent.parent
SHARED_WORKLOADS = ROOT.parent / "shared" / "workloads"

# No deadline and no complaint of slowness: machines are shared, and a law is not a stopwatch.
settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# A run that decides about a change draws the same examples every time.
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

SETTINGS = ("PLANNER_", "ANTHROPIC_", "OPENAI_", "XDG_")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home, no settings, no keys, no colour: the same answers on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(SETTINGS)]:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("TZ", "UTC")
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Textual and both vendors' libraries run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_workloads() -> Path:
    """The folder of real rows beside the checkout; a clone elsewhere has none and skips."""
    if not SHARED_WORKLOADS.is_dir():
        pytest.skip("no folder of real rows beside the checkout (../shared/workloads)")
    return SHARED_WORKLOADS


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask the command line in this process: `ask("check", "MODEL").exit_code`."""
    from planner import cli

    def answer(*arguments: str, now: datetime = NOW) -> Answer:
        capsys.readouterr()
        try:
            code = cli.main(list(arguments), clock=lambda: now)
        except SystemExit as done:  # argparse leaves this way after --help
            code = done.code if isinstance(done.code, int) else int(done.code is not None)
        return Answer(code, *capsys.readouterr())

    return answer
