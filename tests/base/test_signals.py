"""Signals that ask a process to end: noted, not obeyed on the spot; what the process ignores stays ignored."""

import os
import signal

import pytest

from atm.base.signals import end_on_signals, stop_on_signals

HERE = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


@pytest.mark.parametrize("name", HERE)
def test_a_signal_is_noted_and_the_handlers_of_before_come_back(name):
    number, before = getattr(signal, name), signal.getsignal(getattr(signal, name))
    with stop_on_signals() as asked:
        assert asked() == 0
        os.kill(os.getpid(), number)
        assert asked() == number
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_the_process_as_usual():
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_cluster_may_send_its_signal_again():
    with stop_on_signals() as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with end_on_signals(), stop_on_signals() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_of_training_a_signal_ends_the_process_so_that_it_can_clean_up():
    with pytest.raises(SystemExit) as ended, end_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_training_stops_at_a_step_where_the_command_line_would_end():
    with end_on_signals(), stop_on_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM


@pytest.mark.parametrize("name", [name for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)])
def test_who_handles_a_clusters_signal_gets_it_when_the_block_has_ended(name):
    """submitit's handler puts the job back into the queue and exits: before that, training writes its checkpoint."""
    order, number = [], getattr(signal, name)

    def requeue(came: int, _frame: object) -> None:
        order.append("requeued")
        raise SystemExit(came)

    signal.signal(number, requeue)
    with pytest.raises(SystemExit) as ended, stop_on_signals() as asked:
        os.kill(os.getpid(), number)
        assert asked() == number
        order.append("checkpoint")
    assert order == ["checkpoint", "requeued"] and ended.value.code == number
    assert signal.getsignal(number) is requeue


def test_who_handles_sigterm_keeps_it():
    """submitit passes SIGTERM over: what is preempted gets its other signal besides."""
    came = []
    signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    with stop_on_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == 0
    assert came == [signal.SIGTERM]


def test_signals_that_a_system_lacks_are_left_out(monkeypatch):
    """Windows has neither SIGHUP nor SIGUSR1 nor SIGUSR2."""
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        monkeypatch.delattr(signal, name, raising=False)
    with end_on_signals(), stop_on_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM
