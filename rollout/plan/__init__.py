"""The plan of one rollout: its model, how it is made and moved, and whether its stages fit the window."""
