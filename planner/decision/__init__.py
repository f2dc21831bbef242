"""What to do: time, cost and choice as pure functions of what was counted and looked up.

Nothing in here reads a clock, a file or a random source of its own: `now` and seeds come
as arguments, so that a decision can be computed again from its inputs and argued with.
"""
