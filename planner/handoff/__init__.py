"""Doing it: the decision as a file, the vendor's own batch files, and what becomes of them.

Nothing is sent that was not written down before, and nothing is written half.
"""
