"""The decisions of a rollout: facts in, verdicts out. Pure and stdlib only; it runs on the hosts too (Python 3.8)."""
