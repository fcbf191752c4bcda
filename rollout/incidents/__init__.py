"""Problems found after a rollout: they are recorded, get a page, and are closed (R24)."""
