"""The three views of the Compare tab: all methods on one query, two settings, what if."""
