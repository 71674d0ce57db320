"""The Learn tab: the tour, the quiz, the case sheet."""
