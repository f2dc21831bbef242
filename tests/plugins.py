"""Packages that offer a counter, as an installer would leave them on the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


class Site:
    """A folder of installed packages."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        patch.syspath_prepend(folder)
        self._patch = patch

    def module(self, name: str, source: str) -> None:
        (self.folder / f"{name}.py").write_text(source, encoding="utf-8")

    def package(
        self, name: str, source: str, points: Mapping[str, str], *, version: str = "0.1"
    ) -> None:
        """A module of that name, and the metadata of a package: family -> function."""
        module = name.replace("-", "_")
        self.module(module, source)
        lines = "".join(f"{family} = {value}\n" for family, value in points.items())
        self.metadata(name, f"[planner.counters]\n{lines}", version=version)

    def metadata(self, name: str, points: str, *, version: str = "0.1") -> None:
        """The metadata alone."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
        # The metadata of a path is read once for each path.
        self._patch.syspath_prepend(self.folder / str(len(list(self.folder.iterdir()))))
