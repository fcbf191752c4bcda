"""The blessing by Buildbot within a rollout (R11)."""

import pytest


@pytest.mark.drill
def test_a_red_build_stops_the_rollout_and_a_fix_of_the_merge_is_blessed_and_goes_out(rollout, brz, tmp_path):
    """What nobody QA's because it says so ([no-qa]) can be pinned and merged; Buildbot sees that it is no Python.

    devel 10 is that merge; what mends it lands as devel 11, in RC mode, and is what Buildbot blesses.
    """
    trust_me(rollout, brz, tmp_path)
    stopped = rollout.run("select", "merge", "blessing", "qastaging", "--at=-48h")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert rollout.outcomes()[-2:] == [("merge", "ok"), ("blessing", "failed")]
    for said in ("E-check-failed  lucid_lp did not bless devel r10.", "SyntaxError", "[release-critical=NAME]"):
        assert said in stopped.stdout, stopped.stdout
    assert f"{rollout.lab.buildbot_url}#/builders/" in stopped.stdout
    (failed,) = [e for e in rollout.journal if e["event"] == "stage_finished" and e["outcome"] == "failed"]
    assert [green["check"] for green in failed["facts"]["blessed"]] in (["lucid_db_lp"], [])
    assert failed["facts"]["rerun"] == []

    assert "./runbook.py run merge --fixed-in REVNO" in stopped.stdout, stopped.stdout
    merge = rollout.pinned["merged_revid"]
    refused = rollout.run("merge", "--fixed-in=11")
    assert (refused.returncode, rollout.pinned["merged_revid"]) == (1, merge), refused.stdout
    assert "E-no-such-revision" in refused.stdout

    assert "E-not-the-merge" in rollout.run("blessing", "--fixed-in=11").stderr

    land(rollout, brz, tmp_path, "[testfix][release-critical=lab-lead][r=jml] It is Python now.")
    done = rollout.run("merge", "blessing", "--fixed-in=11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[r=jml] It is Python now.: release-critical by lab-lead, the project lead" in done.stdout, done.stdout
    pinned = rollout.pinned
    assert (pinned["merged_revno"], pinned["unfixed_revno"], pinned["unfixed_revid"]) == (11, 10, merge)
    assert rollout.outcomes()[-2:] == [("merge", "ok"), ("blessing", "ok")]
    assert rollout.run("merge").returncode == 0
    assert rollout.pinned == pinned, "a later run judges the same revision, and pins it"
    assert not any(entry.get("redo") for entry in rollout.journal), "and the blessing stands"


def trust_me(rollout, brz, tmp_path):
    """What nobody QA's because it says so ([no-qa]) lands on db-stable, and is no Python."""
    home, db_stable = tmp_path / "developer", f"{rollout.lab.bazaar_url}db-stable"
    brz("branch", "-r", "18", db_stable, "landing")
    (home / "landing/lib/lp/karma.py").write_text("def karma(:\n")
    brz("add", cwd=home / "landing")
    brz("commit", "-m", "[r=jml][no-qa] Trust me.", cwd=home / "landing")
    brz("push", "--overwrite", db_stable, cwd=home / "landing")


def land(rollout, brz, tmp_path, message):
    """Mend it on devel."""
    home, devel = tmp_path / "developer", f"{rollout.lab.bazaar_url}devel"
    brz("branch", devel, "fix")
    (home / "fix/lib/lp/karma.py").write_text("def karma():\n    return 0\n")
    brz("commit", "-m", message, cwd=home / "fix")
    brz("push", devel, cwd=home / "fix")
