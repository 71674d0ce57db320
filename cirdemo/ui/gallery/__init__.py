"""The Gallery tab: look around, and build one of your own."""
