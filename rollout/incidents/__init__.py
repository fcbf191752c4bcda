"""Problems found after a rollout: on record, with a page, and closed (R24)."""
