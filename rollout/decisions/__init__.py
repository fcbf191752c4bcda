"""The decisions before the window, each by itself: deployable, budget, rc-check."""
