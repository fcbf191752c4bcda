"""The preflight's judgements on the facts that hosts report (R18)."""
