"""Core values -> what people and programs read: text, JSON, CSV, Markdown.

One table of renderers an answer; a format is added as one row of it. Nothing here computes:
a figure that a renderer would have to work out belongs in the core, or two formats would
print it differently.
"""

from planner.report.answers import CHECK, ESTIMATE, MODELS, PRICES
from planner.report.text import explain
from planner.report.text import steps as price_steps

__all__ = ["CHECK", "ESTIMATE", "MODELS", "PRICES", "explain", "price_steps"]
