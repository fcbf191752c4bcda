"""Locks while access is closed: bounded attempts, and whose they are (R19)."""

from __future__ import annotations

from tests.modules.database_servers import FOUR, ROWS_AFTER, SLOW_COMMIT, Database, Slow, wait_for

THIRD = FOUR[2]
HELD = "(postgres, dba), idle in transaction: BEGIN; LOCK TABLE Branch IN ACCESS SHARE MODE"


def test_it_gives_up_after_so_many_attempts_and_names_who_holds_the_lock(slow: Slow, database: Database) -> None:
    before = database.dump()
    slow.lock()
    answer = slow.begin(lock_timeout_seconds=0.3, lock_attempts=2).result()
    assert answer["failed"]
    first, second = answer["msg"].splitlines()[:2]
    assert first.startswith(f"E-lock-timeout  {THIRD}, line ")
    assert first.endswith("canceling statement due to lock timeout [55P03], 2 times after 0.3 s.")
    assert second == f"  HELD BY: session {slow.blocker.info.backend_pid} {HELD}"
    assert "Nothing was kept" in answer["msg"]
    assert [step["step"] for step in answer["steps"]][-3:] == [THIRD, "roll back", "open access"]
    database.assert_users_are_in()
    assert database.dump() == before


def test_it_goes_on_when_it_gets_the_lock_the_second_time(slow: Slow, database: Database) -> None:
    slow.lock()
    running = slow.begin(lock_timeout_seconds=1, lock_attempts=5)
    wait_for(lambda: database.progress().get("warnings"), "the first attempt to fail")
    slow.let_go()
    answer = running.result()
    assert answer["committed"], answer
    assert answer["warnings"][0].startswith(f"{THIRD} did not get a lock in 1 s: held by session ")
    assert answer["warnings"][0].endswith(HELD)
    assert [step["step"] for step in answer["steps"]].count(THIRD) == 1
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_a_deferred_trigger_waits_no_longer_either(slow: Slow, database: Database) -> None:
    database.write(THIRD, SLOW_COMMIT)
    before = database.dump()
    slow.lock()
    answer = slow.begin(lock_timeout_seconds=0.3).result()
    assert answer["msg"].startswith("E-lock-timeout  canceling statement due to lock timeout")
    assert answer["msg"].splitlines()[0].endswith(", once after 0.3 s.")
    assert answer["msg"].splitlines()[1].endswith(HELD)
    database.assert_users_are_in()
    assert database.dump() == before
