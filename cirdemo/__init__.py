"""cirdemo: look inside composed image retrieval (reference image + modification text -> target)."""

__version__ = "0.1.0"
