"""The digest names the facts, and a cache, whole or damaged, never changes an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from planner import catalog
from planner.catalog import files
from planner.errors import InputError
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from pathlib import Path


def folder_with(tmp_path: Path, text: str = VENDOR, name: str = "pricing") -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "acme.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_cached_catalog_is_the_same_catalog(tmp_path: Path) -> None:
    folder, cache = folder_with(tmp_path), tmp_path / "cache"
    fresh = catalog.load(folder, cache=cache)
    assert len(list(cache.iterdir())) == 1
    assert repr(catalog.load(folder, cache=cache)) == repr(fresh)


def test_the_shipped_catalog_is_the_same_from_its_cache(tmp_path: Path) -> None:
    assert repr(catalog.load(cache=tmp_path)) == repr(catalog.load(cache=tmp_path))


def test_a_change_of_one_byte_is_another_catalog(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one = catalog.load(folder_with(tmp_path), cache=cache)
    other = catalog.load(
        folder_with(tmp_path, VENDOR.replace("output: 40", "output: 41")), cache=cache
    )
    assert one.digest != other.digest
    assert str(other.model("big").prices[0].rates["output"]) == "41"
    assert (
        str(catalog.load(folder_with(tmp_path), cache=cache).model("big").prices[0].rates["output"])
        == "40"
    )


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "valid-json-other-price"])
def test_a_damaged_cache_changes_nothing(tmp_path: Path, damage: str) -> None:
    folder, cache = folder_with(tmp_path), tmp_path / "cache"
    fresh = repr(catalog.load(folder, cache=cache))
    (place,) = cache.iterdir()
    whole = place.read_bytes()
    place.write_bytes(
        {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:],
            "foreign": b"\x80\x04\x95not json",
            "valid-json-other-price": whole.replace(b'"40"', b'"14"'),
        }[damage]
    )
    assert repr(catalog.load(folder, cache=cache)) == fresh
    assert place.read_bytes() == whole, "the damaged file is replaced"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert catalog.load(folder_with(tmp_path), cache=blocked).models()


def test_a_broken_catalog_leaves_no_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        catalog.load(folder_with(tmp_path, "a: 1\n"), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_one_file_can_be_checked_by_itself(tmp_path: Path) -> None:
    good = folder_with(tmp_path) / "acme.yaml"
    assert files.check(good) == ()
    good.write_text(VENDOR.replace("currency: USD", "currency: EUR"), encoding="utf-8")
    assert [problem.code for problem in files.check(good)] == ["bad-value"]


def test_a_folder_without_files_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        catalog.load(tmp_path / "nowhere", cache=tmp_path)
    assert caught.value.problems[0].code == "no-pricing"


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files.default_cache() == tmp_path / "planner"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.default_cache() == tmp_path / "home" / ".cache" / "planner"


def test_a_cached_catalog_needs_neither_yaml_nor_pydantic(tmp_path: Path) -> None:
    catalog.load(cache=tmp_path / "planner")
    program = (
        "import sys, json\n"
        "from planner.catalog import load, prices, support\n"
        "count = len(load().models())\n"
        "print(json.dumps([count, sorted({'yaml', 'pydantic'} & set(sys.modules))]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        cwd=files.shipped().parent,
        capture_output=True,
        text=True,
        check=True,
    )
    count, heavy = json.loads(done.stdout)
    assert count > 50
    assert heavy == []
