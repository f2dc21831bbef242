"""Write pricing/schema.json, by which editors know the keys of a pricing file.

Run it after a change of planner/catalog/schema.py; a test compares the file with the code.
"""

from __future__ import annotations

import json
from pathlib import Path

from planner.catalog.schema import json_schema

PLACE = Path(__file__).resolve().parents[1] / "pricing" / "schema.json"


def text() -> str:
    """The file as it should be."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
    print(f"wrote {PLACE.name}")
