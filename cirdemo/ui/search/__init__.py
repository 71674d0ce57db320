"""The Search tab: the form, the five chapters, and what changes a search."""
