"""Buildbot's blessing within a rollout (R11)."""


def test_a_red_build_stops_the_rollout_before_qastaging(rollout, brz, tmp_path):
    """What nobody QA's because it says so ([no-qa]) can be pinned and merged; Buildbot sees that it is no Python."""
    home, db_stable = tmp_path / "developer", f"{rollout.lab.bazaar_url}db-stable"
    brz("branch", "-r", "18", db_stable, "landing")
    (home / "landing/lib/lp/karma.py").write_text("def karma(:\n")
    brz("add", cwd=home / "landing")
    brz("commit", "-m", "[r=jml][no-qa] Trust me.", cwd=home / "landing")
    brz("push", "--overwrite", db_stable, cwd=home / "landing")

    stopped = rollout.run("select", "merge", "blessing", "qastaging", "--at=-48h")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert rollout.outcomes()[-2:] == [("merge", "ok"), ("blessing", "failed")]
    for said in ("E-build-failed  lucid_lp did not bless devel r10.", "SyntaxError", "[release-critical=NAME]"):
        assert said in stopped.stdout, stopped.stdout
    assert f"{rollout.lab.buildbot_url}#/builders/" in stopped.stdout
    (failed,) = [e for e in rollout.journal if e["event"] == "stage_finished" and e["outcome"] == "failed"]
    assert [green["builder"] for green in failed["facts"]["blessed"]] in (["lucid_db_lp"], [])
    assert failed["facts"]["forced"] == []
