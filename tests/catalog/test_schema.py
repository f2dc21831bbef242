"""A broken provider file ends in one report, with line, path and hint; none of them loads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import catalog as catalog_package
from planner import strict_yaml
from planner.catalog import schema
from planner.errors import InputError
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Catalog


def problems(text: str) -> list[str]:
    """Every problem of a provider file as `code where message`."""
    try:
        document = strict_yaml.load(text, "acme.yaml")
    except InputError as refused:
        found = refused.problems
    else:
        _, found = schema.normalised(document)
    return [f"{each.code} {each.where} {each.message}" for each in found]


def spoiled(old: str, new: str) -> list[str]:
    assert VENDOR.count(old) >= 1, f"the vendor file has no {old!r}"
    return problems(VENDOR.replace(old, new, 1))


def test_the_small_vendor_is_fine() -> None:
    assert problems(VENDOR) == []


SMALL = "models.small.prices[0]"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "rates: {input: 1, output: 4,",
            "rates: {imput: 1, output: 4,",
            [f"unknown-meter acme.yaml:44:17 {SMALL}.rates.imput: unknown meter 'imput'"],
        ),
        (
            "    aliases: [small-2026]\n",
            "    alias: [small-2026]\n",
            ["unknown-key acme.yaml:40:5 models.small.alias: unknown key 'alias'"],
        ),
        (
            "      - source: list\n        rates: {input: 1",
            "      - rates: {input: 1",
            [f"missing-key acme.yaml:43:9 {SMALL}.source: key 'source' is missing"],
        ),
        (
            "currency: USD",
            "currency: EUR",
            ["bad-value acme.yaml:4:1 currency: Input should be 'USD', not 'EUR'"],
        ),
        (
            "  list: {url:",
            "  lists: {url:",
            ["unknown-source acme.yaml:12:52 lanes.plain.source: no source 'list'"],
        ),
        (
            "from: 2026-07-01\n        state: announced",
            "from: 2026-07-01",
            [
                (
                    "not-announced acme.yaml:46:9 models.small.prices[1].from:"
                    " begins 2026-07-01, after its source was read"
                )
            ],
        ),
        (
            "from: 2026-07-01",
            "from: 2026-05-01",
            [
                (
                    "already-begun acme.yaml:47:9 models.small.prices[1].state:"
                    " began 2026-05-01, before its source was read"
                )
            ],
        ),
        (
            "- from: 2026-07-01\n        state: announced\n        source",
            "- source",
            ["overlap acme.yaml:46:9 models.small.prices[1]: overlaps the period before it"],
        ),
        (
            "      - source: list\n        rates: {input: 1",
            "      - source: list\n        until: 2026-07-02\n        rates: {input: 1",
            [
                (
                    "overlap acme.yaml:47:9 models.small.prices[1].from:"
                    " begins 2026-07-01, but the period before it runs until 2026-07-02"
                )
            ],
        ),
        (
            "{prompt_ge: 1000,",
            "{prompt_ge: 101,",
            ["edge-order acme.yaml:45:47 models.small.prices[0].over[1]: edges must ascend"],
        ),
        (
            "{prompt_gt: 100, multiply: 2}, {prompt_ge",
            "{prompt_gt: 100, prompt_ge: 3, multiply: 2}, {prompt_ge",
            [f"edge acme.yaml:45:16 {SMALL}.over[0]: an edge is either prompt_gt or prompt_ge"],
        ),
        (
            "{prompt_gt: 100, multiply: 2}, {prompt_ge",
            "{prompt_gt: 100, rates: {input: 2}}, {prompt_ge",
            [f"meter-without-rate acme.yaml:45:16 {SMALL}.over[0]: no rate for cache_read, output"],
        ),
        (
            'multiply: {"*": 2, cache_read: unpublished}',
            "multiply: {input: 2, output: 2}",
            ["meter-without-rate acme.yaml:55:7 models.small.lanes.quick: no rate for cache_read"],
        ),
        (
            "{rates: {input: 15, output: 70}, over: [], source: list}",
            "{rates: {input: 15, output: 70}, source: list}",
            [
                (
                    "no-tiers acme.yaml:65:9 models.big.lanes.quick.price:"
                    " rates of its own, but the list has tiers"
                )
            ],
        ),
        (
            "price: {multiply: 0.5, source: list}",
            "price: {source: list}",
            ["no-price acme.yaml:39:3 models.small: a lane's price needs `multiply` or `rates`"],
        ),
        (
            "base: true, models",
            "models",
            ["base-lane acme.yaml:11:1 lanes: one lane is `base: true`, here 0 are"],
        ),
        (
            "    window: 24h",
            "    window: 24 hours",
            [
                (
                    "bad-duration acme.yaml:17:5 lanes.slow.window:"
                    " a length of time is wanted, not '24 hours'"
                )
            ],
        ),
        (
            "{support: unknown, source: other",
            "{support: maybe, source: other",
            [
                (
                    "bad-support acme.yaml:62:14 models.big.lanes.slow.support:"
                    " support is true, false or unknown, not 'maybe'"
                )
            ],
        ),
        (
            "      quick: {support: true, until",
            "      quik: {support: true, until",
            ["unknown-lane acme.yaml:55:7 models.small.lanes.quik: no lane 'quik'"],
        ),
        (
            "models: [small], rpm: 10",
            "models: [smal], rpm: 10",
            ["unknown-model acme.yaml:34:17 limits[0].models: no model 'smal'"],
        ),
        (
            "{tier: high, models",
            "{tier: higher, models",
            ["unknown-tier acme.yaml:36:6 limits[2].tier: no tier 'higher'"],
        ),
        (
            "models: [small], lanes: [plain], multiply",
            "models: [small], lanes: [plane], multiply",
            ["unknown-lane acme.yaml:28:25 regions.eu[0].lanes: no lane 'plane'"],
        ),
        (
            "released: 2026-02-01, retires: 2026-12-01",
            "retires_not_before: 2027-02-01, retires: 2026-12-01",
            ["contradiction acme.yaml:58:5 models.big.lifecycle: retires before its floor"],
        ),
        (
            "aliases: [small-2026]",
            "aliases: [big]",
            ["alias-taken acme.yaml:40:15 models.small.aliases[0]: 'big' is already a model id"],
        ),
        (
            "read: 2026-09}",
            "read: 2026-13}",
            ["bad-date acme.yaml:9:46 sources.late.read: a day is wanted, not '2026-13'"],
        ),
        (
            "{tier: high, models: [small, big], pool: both",
            "{tier: low, models: [small, big], pool: both",
            [
                (
                    "stated-twice acme.yaml:36:51 limits[2].rpm:"
                    " rpm of small in tier low stands in limits[0]"
                )
            ],
        ),
        (
            "rates: {input: 10, output: 40}",
            "rates: {input: -10, output: 40}",
            [
                (
                    "bad-number acme.yaml:60:32 models.big.prices[0].rates.input:"
                    " a number below zero: -10"
                )
            ],
        ),
        (
            "rates: {input: 10, output: 40}",
            'rates: {input: "10", output: 40}',
            [
                (
                    "bad-number acme.yaml:60:32 models.big.prices[0].rates.input:"
                    " a number is wanted, not '10'"
                )
            ],
        ),
        (
            "rates: {input: 10, output: 40}",
            "rates: {input: 1e-6, output: 40}",
            [
                (
                    "exponent-number acme.yaml:60:39 models.big.prices[0].rates.input:"
                    " '1e-6' is not a plain decimal number"
                )
            ],
        ),
    ],
)
def test_each_mistake_is_named_where_it_stands(old: str, new: str, expected: list[str]) -> None:
    found = spoiled(old, new)
    assert found[: len(expected)] == expected


def test_hints_say_what_to_do() -> None:
    text = VENDOR.replace("rates: {input: 1, output: 4,", "rates: {imput: 1, output: 4,", 1)
    _, found = schema.normalised(strict_yaml.load(text, "acme.yaml"))
    assert found[0].render() == (
        "error[unknown-meter]: models.small.prices[0].rates.imput: unknown meter 'imput'\n"
        "  at acme.yaml:44:17\n"
        "  hint: did you mean input?"
    )


def test_problems_of_every_kind_come_together_in_order() -> None:
    text = (
        VENDOR.replace("currency: USD", "currency: EUR")
        .replace("window: 24h", "window: soon")
        .replace("{tier: high, models", "{tier: higher, models")
        .replace("- from: 2026-07-01\n        state: announced\n        source", "- source")
        .replace("    aliases:", "    aliasses:")
    )
    codes = [line.split(" ", 1)[0] for line in problems(text)]
    assert codes == ["bad-value", "bad-duration", "unknown-tier", "unknown-key", "overlap"]


def test_problems_of_all_files_come_in_one_report(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VENDOR.replace("currency: USD", "currency: EUR"))
    (tmp_path / "b.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "c.yaml").write_text(
        VENDOR.replace("window: 24h", "window: soon").replace("provider: acme", "provider: other")
    )
    with pytest.raises(InputError) as caught:
        catalog_package.load(tmp_path, cache=tmp_path / "cache")
    places = [(problem.where or "").split(":")[0] for problem in caught.value.problems]
    assert places == [f"{tmp_path.name}/{name}.yaml" for name in "abc"]
    assert caught.value.exit_code == 2


# ------------------------------------------------------------------ two hundred broken files

HOSTILE = [
    "1e-6",
    "010",
    "0x10",
    ".nan",
    "yes",
    "&a x",
    "*a",
    "!!str x",
    "2026-02-30",
    "-1",
    "[1]",
    "{a: 1}",
    "1_000",
    "''",
]


def mutilated(seed: int) -> str:
    """The small vendor with one value, key or line made wrong."""
    draw = random.Random(seed)
    lines = VENDOR.splitlines()
    kind = seed % 5
    with_value = [
        index
        for index, line in enumerate(lines)
        if ": " in line and (kind or not line.lstrip().startswith("-"))
    ]
    index = draw.choice(with_value)
    if kind == 0:
        lines.insert(index, lines[index])
    elif kind == 1:
        lines[index] = lines[index].replace(": ", "s: ", 1)
    elif kind == 2:
        head, _, _ = lines[index].partition(": ")
        lines[index] = f"{head}: {draw.choice(HOSTILE)}"
    elif kind == 3:
        lines[index] += "\n}"
    else:
        lines[index] = lines[index].replace("source: list", f"source: {draw.choice('abc')}x", 1)
        lines[index] = f"\t{lines[index]}" if "x}" not in lines[index] else lines[index]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(200))
def test_none_of_two_hundred_broken_files_loads(tmp_path: Path, seed: int) -> None:
    (tmp_path / "acme.yaml").write_text(mutilated(seed), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        catalog_package.load(tmp_path, cache=tmp_path / "cache")
    assert caught.value.problems
    for problem in caught.value.problems:
        assert (problem.where or "").startswith(f"{tmp_path.name}/acme.yaml"), problem
        assert problem.message
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True


def test_fifty_megabytes_are_refused_unparsed(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_bytes(b"x" * 50_000_000)
    with pytest.raises(InputError) as caught:
        catalog_package.load(tmp_path, cache=tmp_path / "cache")
    assert [problem.code for problem in caught.value.problems] == ["too-large"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TOP = st.dictionaries(
    st.sampled_from(
        ["schema", "sources", "lanes", "regions", "tiers", "limits", "models", "provider", "extra"]
    ),
    VALUES
    | st.dictionaries(
        st.text(),
        st.dictionaries(
            st.sampled_from(["prices", "lanes", "price", "over", "source", "lifecycle", "models"]),
            VALUES
            | st.lists(
                st.dictionaries(st.sampled_from(["from", "until", "over", "rates"]), VALUES)
            ),
        ),
    ),
)


@given(VALUES | TOP)
def test_no_shape_of_data_breaks_the_checks(data: object) -> None:
    document = strict_yaml.Document(name="acme.yaml", data=data, marks={})
    plain, found = schema.normalised(document)
    assert (plain is None) == bool(found)


# ------------------------------------------------------------------ what passes


def test_the_shipped_files_name_a_source_for_every_fact(shipped: Catalog) -> None:
    for provider in shipped.providers:
        for model in provider.models.values():
            assert model.source in provider.sources.values()
            for period in model.prices:
                assert period.source in provider.sources.values()


def test_every_source_of_a_shipped_file_is_used(shipped: Catalog) -> None:
    folder = catalog_package.files.shipped()
    for provider in shipped.providers:
        text = (folder / f"{provider.id}.yaml").read_text(encoding="utf-8")
        unused = [each for each in provider.sources if f"source: {each}" not in text]
        assert unused == []


def test_the_featured_models_are_a_small_and_a_middle_one_of_each_vendor(shipped: Catalog) -> None:
    by_vendor: dict[str, int] = {}
    for model in shipped.featured():
        by_vendor[model.provider] = by_vendor.get(model.provider, 0) + 1
    assert set(by_vendor.values()) == {2}


def test_an_editor_finds_every_key_of_the_schema(acme: Callable[..., Catalog]) -> None:
    described = schema.json_schema()
    assert set(described["properties"]) >= {"schema", "sources", "lanes", "models", "limits"}
    assert "from" in described["$defs"]["ListPrice"]["properties"]
