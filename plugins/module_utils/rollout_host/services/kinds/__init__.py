"""The kinds of services that can be paused: one adapter each, after `base.Service` (R5)."""
