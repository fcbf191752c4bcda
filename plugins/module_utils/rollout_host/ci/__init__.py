"""Buildbot and Launchpad, asked over HTTP (R8, R11)."""
