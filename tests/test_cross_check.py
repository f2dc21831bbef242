"""The comparison with public datasets: what it reads, what it refuses, when it fails."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from types import ModuleType

    from planner.catalog import Catalog

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
ON = date(2026, 6, 15)
RULES = {
    "providers": {
        "acme": {
            "named": ["acme"],
            "prefix": "acme/",
            "cache_write": "cache_write",
            "lanes": {"batches": "slow", "processing=batch": "slow"},
            "hours": {"within": "plain", "otherwise": "slow"},
        }
    }
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cross_check", SCRIPTS / "cross_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cross_check"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ours(tmp_path: Path) -> Catalog:
    (tmp_path / "pricing").mkdir()
    (tmp_path / "pricing" / "acme.yaml").write_text(VENDOR, encoding="utf-8")
    return catalog.load(tmp_path / "pricing", cache=tmp_path / "cache")


def wheel(folder: Path, name: str, inside: str, text: str) -> zipfile.ZipFile:
    with zipfile.ZipFile(folder / name, "w") as file:
        file.writestr(inside, text)
    return zipfile.ZipFile(folder / name)


def litellm(script: ModuleType, folder: Path, entries: dict[str, dict[str, Any]]) -> Any:
    file = wheel(folder, "litellm-1.0.0-py3.whl", script.LITELLM_FILE, json.dumps(entries))
    return script.Litellm(file, RULES)


def genai(script: ModuleType, folder: Path, model: str) -> Any:
    text = f"providers: list[Provider] = [Provider(id='acme', models=[{model}])]\n"
    return script.GenaiPrices(
        wheel(folder, "genai_prices-1.0.0-py3.whl", script.GENAI_FILE, text), RULES
    )


SMALL = {
    "litellm_provider": "acme",
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 4e-06,
    "cache_read_input_token_cost": 1.0000000000000001e-07,
    "input_cost_per_token_batches": 5e-07,
    "output_cost_per_token_somewhere": 9e-06,
    "input_cost_per_second": 1,
}


def test_floats_are_read_as_the_decimals_that_were_meant(
    script: ModuleType, ours: Catalog, tmp_path: Path
) -> None:
    found = script.compare(ours, litellm(script, tmp_path, {"acme/small": SMALL}), {}, ON)
    assert (found.equal, found.models, found.differences) == (4, 1, ())
    assert found.absent == ("acme/big",)


def test_a_difference_names_the_question_and_both_answers(
    script: ModuleType, ours: Catalog, tmp_path: Path
) -> None:
    entry = SMALL | {"output_cost_per_token": 5e-06, "input_cost_per_token_flex": 1e-06}
    found = script.compare(ours, litellm(script, tmp_path, {"small": entry}), {}, ON)
    assert found.differences == ("acme/small plain output: 5, ours 4",)


@pytest.mark.parametrize("name", ["small-2", "smal", "other/small"])
def test_names_that_only_begin_alike_are_not_compared(
    script: ModuleType, ours: Catalog, tmp_path: Path, name: str
) -> None:
    found = script.compare(ours, litellm(script, tmp_path, {name: SMALL}), {}, ON)
    assert found.models == 0


def test_a_name_of_another_vendor_is_not_compared(
    script: ModuleType, ours: Catalog, tmp_path: Path
) -> None:
    entry = SMALL | {"litellm_provider": "somebody"}
    assert script.compare(ours, litellm(script, tmp_path, {"small": entry}), {}, ON).models == 0


def test_an_edge_is_compared_on_both_sides(
    script: ModuleType, ours: Catalog, tmp_path: Path
) -> None:
    """Ours: above 100 twice the price, from 1,000 on four times (output three times)."""
    tiers = "[Tier(start=100, price=Decimal('2')), Tier(start=999, price=Decimal('4'))]"
    price = f"ModelPrice(input_mtok=TieredPrices(base=Decimal('1'), tiers={tiers}))"
    found = script.compare(
        ours, genai(script, tmp_path, f"ModelInfo(id='small', prices={price})"), {}, ON
    )
    assert (found.equal, found.differences) == (5, ())
    (tmp_path / "genai_prices-1.0.0-py3.whl").unlink()
    moved = price.replace("start=999", "start=1000")
    found = script.compare(
        ours, genai(script, tmp_path, f"ModelInfo(id='small', prices={moved})"), {}, ON
    )
    assert found.differences == ("acme/small plain input at 1000: 2, ours 4",)


def test_dates_hours_and_variants(script: ModuleType, ours: Catalog, tmp_path: Path) -> None:
    """The last begun price of each kind; a variant states its own keys and nothing else."""

    def price(value: str, constraint: str = "") -> str:
        return f"ConditionalPrice({constraint}prices=ModelPrice(input_mtok=Decimal('{value}')))"

    start = "constraint=StartDateConstraint(start_date=datetime.date({}, 1, 1)), "
    hours = (
        "constraint=TimeOfDateConstraint(start_time=datetime.time(1), end_time=datetime.time(2)), "
    )
    listed = [price("9"), price("0.5", start.format(2026)), price("8", start.format(2027))]
    entry = f"ModelInfo(id='small', prices=[{', '.join([*listed, price('1', hours)])}])"
    found = script.compare(ours, genai(script, tmp_path, entry), {}, ON)
    assert (found.equal, found.differences) == (2, ())
    (tmp_path / "genai_prices-1.0.0-py3.whl").unlink()
    variant = (
        "PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(input_mtok=Decimal('0.5')))"
    )
    entry = f"ModelInfo(id='small', prices=ModelPrice(), price_variants=[{variant}])"
    found = script.compare(ours, genai(script, tmp_path, entry), {}, ON)
    assert (found.equal, found.differences) == (1, ())


def test_code_in_the_data_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not plain data"):
        genai(script, tmp_path, "ModelInfo(id='a' + 'b')")


def test_older_data_is_refused_whatever_the_order_of_upload(
    script: ModuleType, tmp_path: Path
) -> None:
    for version in ("1.9.0", "1.10.0"):
        wheel(tmp_path, f"litellm-{version}-py3.whl", "x", "").close()
    with script.opened(tmp_path, "litellm", "1.10.0") as newest:
        assert newest.filename.endswith("litellm-1.10.0-py3.whl")
    with pytest.raises(SystemExit, match="is older than"):
        script.opened(tmp_path, "litellm", "1.11.0")
    with pytest.raises(SystemExit, match="no genai_prices"):
        script.opened(tmp_path, "genai-prices", "0")


def test_a_new_difference_and_an_unused_reason_both_fail(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = script.Compared(1, 1, (), ("a: 1, ours 2",))
    assert script.report("x", found, {"a: 1, ours 2": "why"}) is True
    assert script.report("x", found, {}) is False
    assert script.report("x", script.Compared(1, 1, (), ()), {"a: 1, ours 2": "why"}) is False
    out = capsys.readouterr().out
    assert "! differs: a: 1, ours 2" in out
    assert "! accepted, but does not happen any more: a: 1, ours 2" in out


def test_every_accepted_difference_has_its_reason(script: ModuleType) -> None:
    known = script.accepted(script.ACCEPTED)
    assert set(known) == {"litellm", "genai-prices"}
    assert all(len(reason) > 30 for lines in known.values() for reason in lines.values())
