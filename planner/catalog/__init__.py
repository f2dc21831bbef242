"""What things cost and which model can do what, as of a date.

`load` gives a Catalog; `prices`, `support` and `freshness` answer from it. Every lookup takes
its date and none reads a clock or remembers an earlier question.
"""

from planner.catalog.facts import Catalog, LaneFacts, Model, Provider, Source, Turnaround
from planner.catalog.files import load, own_overlays

__all__ = [
    "Catalog",
    "LaneFacts",
    "Model",
    "Provider",
    "Source",
    "Turnaround",
    "load",
    "own_overlays",
]
