"""A re-check recorded in the user's own directory, and what loading makes of it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from planner import catalog
from planner.catalog import prices
from planner.catalog.confirm import confirm
from planner.catalog.freshness import freshness
from planner.errors import InputError, PlannerError, UnknownFactError
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog, Source

TODAY = date(2026, 9, 1)
READ = date(2026, 8, 20)


def loaded(tmp_path: Path, *overlay: str) -> Catalog:
    shipped, mine = tmp_path / "pricing", tmp_path / "mine"
    shipped.mkdir(exist_ok=True)
    (shipped / "acme.yaml").write_text(VENDOR, encoding="utf-8")
    for text in overlay:
        mine.mkdir(exist_ok=True)
        (mine / "acme.yaml").write_text(text, encoding="utf-8")
    own = (mine,) if any(mine.glob("*.yaml")) else ()
    return catalog.load(shipped, own, cache=tmp_path / "cache")


def source(found: Catalog, name: str = "list") -> Source:
    return found.provider("acme").sources[name]


def test_the_reading_moves_and_says_why(tmp_path: Path) -> None:
    made = confirm(loaded(tmp_path), "list", read=READ, on=TODAY, folder=tmp_path / "mine")
    assert made.path.read_text() == "schema: 1\nprovider: acme\nconfirmed:\n  list: 2026-08-20\n"
    found = loaded(tmp_path)
    moved, still = source(found), source(found, "other")
    assert (moved.read, moved.read_as, moved.confirmed) == (READ, "2026-08-20", "mine/acme.yaml")
    assert moved.overlay is None, "the figure is still the catalog's"
    assert (still.read, still.confirmed) == (date(2026, 5, 1), None)


def test_what_was_announced_and_has_begun_is_in_force(tmp_path: Path) -> None:
    """The price announced for July is a promise until the source is read after it."""
    promised = prices.card(loaded(tmp_path), "small", "plain", on=TODAY)
    assert promised.begun_since_read != ()
    confirm(loaded(tmp_path), "acme/list", read=READ, on=TODAY, folder=tmp_path / "mine")
    found = loaded(tmp_path)
    card = prices.card(found, "small", "plain", on=TODAY)
    assert card.begun_since_read == ()
    assert card.rates == promised.rates
    assert [each.state for each in prices.history(found, "small", "plain")] == [
        None,
        None,
        "cancelled",
    ]
    assert not freshness(card.sources, on=TODAY, begun_since_read=card.begun_since_read).stale


def test_a_day_before_the_change_confirms_nothing_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    confirm(loaded(tmp_path), "list", read=date(2026, 6, 30), on=TODAY, folder=folder)
    found = loaded(tmp_path)
    assert prices.card(found, "small", "plain", on=TODAY).begun_since_read != ()
    states = [each.state for each in prices.history(found, "small", "plain")]
    assert states == [None, "announced", "cancelled"]
    confirm(found, "list", read=date(2026, 7, 1), on=TODAY, folder=folder)
    assert prices.card(loaded(tmp_path), "small", "plain", on=TODAY).begun_since_read == ()


def test_a_later_reading_of_the_catalog_wins(tmp_path: Path) -> None:
    found = loaded(tmp_path, "schema: 1\nprovider: acme\nconfirmed: {list: 2026-05-31}\n")
    assert (source(found).read, source(found).confirmed) == (date(2026, 6, 1), None)


def test_a_month_counts_from_its_first_day(tmp_path: Path) -> None:
    text = "schema: 1\nprovider: acme\nconfirmed: {late: 2026-09-01}\n"
    assert source(loaded(tmp_path, text), "late").read_as == "2026-09"
    text = text.replace("09-01", "09-02")
    assert source(loaded(tmp_path, text), "late").read_as == "2026-09-02"


def test_what_the_user_wrote_stays(tmp_path: Path) -> None:
    before = (
        "# ours\nschema: 1\nprovider: acme\n"
        "confirmed:\n  other: 2026-06-02  # asked them\n"
        "sources:\n  mine: {url: x, read: 2026-06-01}\n"
        "models: {small: {source: mine, context: 7}}\n"
    )
    found = loaded(tmp_path, before)
    made = confirm(found, "list", read=READ, on=TODAY, folder=tmp_path / "mine")
    assert made.path.read_text() == before.replace(
        "confirmed:\n", "confirmed:\n  list: 2026-08-20\n"
    )
    confirm(loaded(tmp_path), "list", read=TODAY, on=TODAY, folder=tmp_path / "mine")
    assert made.path.read_text() == before.replace(
        "confirmed:\n", "confirmed:\n  list: 2026-09-01\n"
    )
    assert sorted(path.name for path in made.path.parent.iterdir()) == ["acme.yaml"]


def test_a_file_without_the_key_gains_it_at_its_end(tmp_path: Path) -> None:
    before = "schema: 1\nprovider: acme\n"
    found = loaded(tmp_path, before)
    made = confirm(found, "list", read=READ, on=TODAY, folder=tmp_path / "mine")
    assert made.path.read_text() == f"{before}confirmed:\n  list: 2026-08-20\n"
    assert source(loaded(tmp_path)).read == READ


def test_an_entry_that_is_not_on_a_line_of_its_own_is_left_alone(tmp_path: Path) -> None:
    before = "schema: 1\nprovider: acme\nconfirmed: {other: 2026-06-02}\n"
    found = loaded(tmp_path, before)
    with pytest.raises(InputError, match="left as it is"):
        confirm(found, "list", read=READ, on=TODAY, folder=tmp_path / "mine")
    assert (tmp_path / "mine" / "acme.yaml").read_text() == before


@pytest.mark.parametrize(
    ("name", "read", "error", "code"),
    [
        ("lst", READ, UnknownFactError, "unknown-source"),
        ("acme/lst", READ, UnknownFactError, "unknown-source"),
        ("list", date(2026, 9, 2), InputError, "bad-date"),
        ("list", date(2026, 6, 1), InputError, "already-read"),
        ("list", date(2026, 5, 1), InputError, "already-read"),
    ],
)
def test_what_cannot_be_confirmed(
    tmp_path: Path, name: str, read: date, error: type[PlannerError], code: str
) -> None:
    with pytest.raises(error) as refused:
        confirm(loaded(tmp_path), name, read=read, on=TODAY, folder=tmp_path / "mine")
    assert [problem.code for problem in refused.value.problems] == [code]
    assert not (tmp_path / "mine").exists()


def test_a_name_that_the_catalog_does_not_have_is_reported_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        loaded(tmp_path, "schema: 1\nprovider: acme\nconfirmed:\n  lisst: 2026-08-20\n")
    (problem,) = refused.value.problems
    assert (problem.code, problem.where) == ("unknown-source", "mine/acme.yaml:4:3")
    assert problem.hint == "did you mean list?"


def test_the_shipped_files_change_their_own_days(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(f"{VENDOR}confirmed: {{list: 2026-08-20}}\n")
    with pytest.raises(InputError, match="belongs into an overlay"):
        catalog.load(tmp_path, cache=tmp_path / "cache")
