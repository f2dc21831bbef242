"""planner: a cost and latency planning calculator for LLM jobs."""

__version__ = "0.1.0"
