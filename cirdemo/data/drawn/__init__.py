"""The two drawn worlds: records and words (fables, wardrobe), edits, queries and painting."""
