"""What all tests share."""

from hypothesis import HealthCheck, settings

# No test asserts a duration: a loaded machine is not a bug.
settings.register_profile("runbook", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runbook")
