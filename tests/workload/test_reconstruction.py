"""Plugins: found without being run, run apart from us, and whatever they do breaks nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner import counted_by
from planner.catalog import load
from planner.workload import plugins, tokens
from planner.workload.calibration import Inquiry, UnansweredError
from planner.workload.reconstruction import LONGEST, Reconstruction
from planner.workload.tokens import Grade
from tests.plugins import Site

if TYPE_CHECKING:
    from planner.workload.calibration import Reply

FAMILY = "claude-v4.7"
MODEL = "claude-haiku-5-5"
INQUIRY = Inquiry(pieces=("where is my order", "SENTINELROW is late", "Grüße, 的 и ещё \ud83e"))
LETTERS = "def count(text):\n    return len(text)\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "site", monkeypatch)


def install(site: Site, source: str = LETTERS, *, name: str = "my-counts", to: str = "") -> None:
    module = name.replace("-", "_")
    site.package(name, source, {FAMILY: to or f"{module}:count"})


def counted(*said: list[str], patience: float = 30.0) -> Reply:
    say = said[0].append if said else lambda _: None
    reference = Reconstruction(say, patience=patience)
    model = load().model(MODEL)
    return reference.counts(model, counted_by.catalog(model), INQUIRY)


# --- found ------------------------------------------------------------------------------


def test_a_plugin_is_found_by_its_metadata_and_not_run_for_it(site: Site) -> None:
    install(site, "raise SystemExit('imported')")
    found = plugins.installed(FAMILY)
    assert found is not None
    assert (found.said, found.value) == ("my-counts 0.1", "my_counts:count")
    assert "my_counts" not in sys.modules
    assert plugins.installed("claude-v3") is None


def test_of_two_for_one_family_none_is_chosen(site: Site) -> None:
    install(site)
    install(site, name="other-counts")
    assert plugins.installed(FAMILY) is None
    with pytest.raises(UnansweredError, match="both claim it: keep one") as caught:
        counted()
    assert "my-counts 0.1" in str(caught.value)
    assert "other-counts 0.1" in str(caught.value)


def test_no_package_and_one_for_a_family_that_is_none(site: Site) -> None:
    with pytest.raises(UnansweredError, match=r"no installed package counts for it$"):
        counted()
    site.package("my-counts", LETTERS, {"claude-v9": "my_counts:count"})
    with pytest.raises(UnansweredError, match=r"my-counts 0\.1 names families that are none"):
        counted()


@pytest.mark.parametrize("points", ["[planner.counters]\nno equals sign\n", "[planner.counters"])
def test_a_package_with_broken_metadata_hides_behind_nobody(site: Site, points: str) -> None:
    site.metadata("broken", points)
    assert plugins.installed(FAMILY) is None
    assert tokens.counter(FAMILY).narrowed_by is not None


def test_being_installed_is_said_where_it_would_help_and_changes_no_figure(site: Site) -> None:
    without = tokens.counter(FAMILY, vendor_counts=True)
    before = without.bands, without.grade, without.narrowed_by
    install(site)
    found = tokens.counter(FAMILY, vendor_counts=True)
    assert (found.bands, found.grade) == before[:2]
    assert found.narrowed_by == (
        f"{before[2]} my-counts 0.1, which you have installed, reconstructs it (--reconstruct)."
    )


def test_only_a_ratio_is_reconstructed() -> None:
    """That a model uses a vocabulary is its vendor's to say, not a plugin's."""
    reference = Reconstruction(lambda _: None)
    grades = {
        grade: reference.betters(tokens.counter("o200k", claim=grade))
        for grade in ("exact", "assumed")
    }
    assert grades == {"exact": False, "assumed": False}
    assert reference.betters(tokens.counter(FAMILY))


# --- run --------------------------------------------------------------------------------


def test_its_counts_are_what_its_function_says(site: Site) -> None:
    install(site)
    said: list[str] = []
    reply = counted(said)
    assert reply.counts == tuple(map(len, INQUIRY.questions))
    assert reply.grade is Grade.RECONSTRUCTED
    assert reply.by == "the unofficial counts that my-counts 0.1 makes"
    (line,) = said
    assert line == (
        f"reconstructing {FAMILY} with my-counts 0.1, which is unofficial, on this machine: "
        "3 pieces of the rows"
    )


def test_models_of_one_family_are_counted_once(site: Site) -> None:
    install(site)
    said: list[str] = []
    reference = Reconstruction(said.append)
    for name in (MODEL, "claude-opus-5-5"):
        model = load().model(name)
        reference.counts(model, counted_by.catalog(model), INQUIRY)
    assert len(said) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nprint('{}')\nsys.stdout.flush()\n",
        "import os\nos.write(1, b'noise')\n",
        "import os, tempfile\nos.chdir(tempfile.gettempdir())\n",
        "import os, sys\nos.environ['SENTINEL'] = 'x'\nsys.modules['planner'] = None\n",
    ],
    ids=["prints", "writes", "goes elsewhere", "changes everything"],
)
def test_what_it_does_besides_stays_in_its_own_process(site: Site, source: str) -> None:
    here = Path.cwd()
    install(site, source + LETTERS)
    assert counted().counts == tuple(map(len, INQUIRY.questions))
    assert (Path.cwd(), os.environ.get("SENTINEL")) == (here, None)
    assert sys.modules["planner"] is not None


NO_NUMBER = "counted something that is no positive whole number"
NO_ANSWER = "ended without an answer"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError(text)", "raised ValueError"),
        ("raise SystemExit(text)", "raised SystemExit"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("return count(text)", "raised RecursionError"),
        ("import os; os._exit(0)", NO_ANSWER),
        ("import os; os.abort()", NO_ANSWER),
        ("import time; time.sleep(600)", "was ended after 2 seconds"),
        ("while True: pass", "was ended after 2 seconds"),
        ("return -len(text)", NO_NUMBER),
        ("return 0", NO_NUMBER),
        ("return len(text) / 2", NO_NUMBER),
        ("return float('nan')", NO_NUMBER),
        ("return True", NO_NUMBER),
        ("return None", NO_NUMBER),
        ("return str(len(text))", NO_NUMBER),
        ("return [1]", NO_NUMBER),
        ("return 10 ** 5000", "raised ValueError"),
        ("return {1, 2}", "raised TypeError"),
    ],
)
def test_whatever_it_does_instead_of_counting_is_said(site: Site, body: str, said: str) -> None:
    install(site, f"def count(text):\n    {body}\n")
    with pytest.raises(UnansweredError) as caught:
        counted(patience=2.0 if "ended after" in said else 30.0)
    assert str(caught.value) == f"{FAMILY} is not reconstructed: my-counts 0.1 {said}"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("my_counts:nothing", "raised AttributeError"),
        ("no_such_module:count", "raised ModuleNotFoundError"),
        ("my_counts", "raised TypeError"),
        ("my counts", "raised AttributeError"),
    ],
)
def test_a_function_that_is_not_where_it_is_said_to_be(site: Site, to: str, said: str) -> None:
    install(site, to=to)
    with pytest.raises(UnansweredError, match=said):
        counted()


def test_words_of_the_rows_are_shown_and_not_kept(site: Site) -> None:
    """The sentence goes into plans and answers, so a plugin's own words stay on the screen."""
    install(site, "def count(text):\n    raise ValueError('\\x1b[31m' + text * 100)\n")
    said: list[str] = []
    with pytest.raises(UnansweredError) as caught:
        counted(said)
    assert str(caught.value).endswith("my-counts 0.1 raised ValueError")
    (_, shown) = said
    assert shown.startswith("my-counts 0.1: ValueError: ?[31maaaa")
    assert len(shown) < LONGEST + 60
    assert shown.isprintable()
