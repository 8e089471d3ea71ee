"""The rules of a fault run: its plan, and how frames and silences are judged."""

from chaos import watchers
from chaos.plan import EVERYTHING, plan
from chaos.verdict import Verdict
from chaos.watchers import Heard


def heard(seq: int, *, position: int | None = None, session: int = 1, epoch: str = "e") -> Heard:
    place = seq if position is None else position
    return Heard(at_s=0, session=session, epoch=epoch, seq=seq, position=place, trade=place)


def test_a_seed_plans_the_same_faults_again() -> None:
    assert plan(seed=7, count=40) == plan(seed=7, count=40)
    assert plan(seed=7, count=40) != plan(seed=8, count=40)


def test_everything_is_struck_once_before_anything_is_struck_twice() -> None:
    struck = [(fault.blow, fault.target) for fault in plan(seed=1, count=len(EVERYTHING))]
    assert sorted(struck) == sorted(EVERYTHING)


def test_a_missing_frame_is_a_gap_only_within_a_session() -> None:
    assert watchers.gaps([heard(1), heard(4)]) == 2
    assert watchers.gaps([heard(1), heard(4, session=2)]) == 0


def test_a_position_that_comes_again_is_found_across_sessions_of_one_epoch() -> None:
    assert watchers.heard_twice([heard(1), heard(2), heard(2, session=2)]) == 1
    assert watchers.heard_twice([heard(2), heard(2, session=2, epoch="f")]) == 0


def test_a_falling_position_is_out_of_order() -> None:
    assert watchers.backwards([heard(1, position=5), heard(2, position=4)]) == 1


def test_a_silence_counts_for_the_fault_that_it_follows() -> None:
    signs = [0.0, 1.0, 2.0, 7.0, 8.0, 9.0]
    assert watchers.silences_s([2.5, 7.5], signs, end_s=9.0) == [4.5, 1.0]


def test_a_verdict_is_ok_only_with_nothing_found() -> None:
    verdict = Verdict()
    verdict.hold(0, "nothing")
    assert verdict.ok
    verdict.hold(2, "trades without their fact", kind="lost")
    assert (verdict.ok, verdict.lost, verdict.sentences) == (
        False,
        2,
        ["trades without their fact: 2"],
    )
