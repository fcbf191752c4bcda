"""Answers files of other processes than the monthly deployment."""

from lab.drills.rollout import Rollout


def only(rollout: Rollout, **answers: bool) -> tuple[str, str]:
    """`--answers FILE` with these answers and no others."""
    path = rollout.records / "answers.yml"
    said = ", ".join(f"{gate}: {'yes' if yes else 'no'}" for gate, yes in answers.items())
    path.write_text(f"by: lab coordinator\nanswers: {{{said}}}\n")
    return "--answers", str(path)
