"""The journal's file, its clock, and where rollouts are kept."""
