"""Core values -> what people and programs read: text, JSON, CSV, Markdown.

A table of renderers an answer (`answers` for estimates, `facts` for the catalog); a format is
added as one row of it. Nothing here computes: a figure that a renderer would have to work out
belongs in the core, or two formats would print it differently.
"""
