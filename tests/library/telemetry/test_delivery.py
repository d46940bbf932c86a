"""The queue between the caller and the work: bounds, faults, forks."""

from __future__ import annotations

import os
import threading

import pytest

from otel_chat._telemetry.delivery import Delivery
from tests.waiting import until


def test_jobs_run_in_order_in_one_thread() -> None:
    """What is queued is done in its order, in a thread that is not the caller's."""
    seen: list[tuple[int, int]] = []
    delivery = Delivery(on_error=pytest.fail, every=0.01)
    for number in range(100):
        delivery.put((lambda n: seen.append((n, threading.get_ident())), number))
    assert delivery.flush(5)
    assert [number for number, _ in seen] == list(range(100))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    delivery.close()


def test_no_thread_before_the_first_job() -> None:
    """A delivery that nothing was put into has started nothing."""
    before = threading.active_count()
    delivery = Delivery(on_error=pytest.fail)
    assert threading.active_count() == before
    assert delivery.flush(1)
    assert threading.active_count() == before


def test_a_full_queue_drops_and_counts() -> None:
    """More than the limit is refused, counted, and what is in the queue is kept."""
    seen: list[int] = []
    delivery = Delivery(on_error=pytest.fail, limit=3, background=False)
    accepted = [delivery.put((seen.append, number)) for number in range(5)]
    assert accepted == [True, True, True, False, False]
    assert delivery.dropped == 2
    assert delivery.put((seen.append, 99), always=True)
    delivery.flush(1)
    assert seen == [0, 1, 2, 99]


def test_a_job_that_raises_costs_no_other() -> None:
    """An error is reported and the next job runs."""
    errors: list[BaseException] = []
    seen: list[int] = []

    def fail() -> None:
        raise OSError

    delivery = Delivery(on_error=errors.append, background=False)
    delivery.put((fail,))
    delivery.put((seen.append, 1))
    delivery.flush(1)
    assert seen == [1]
    assert [type(error) for error in errors] == [OSError]


def test_a_job_that_hangs_holds_no_caller() -> None:
    """`flush` gives up in time, and says so; putting more goes on."""
    release = threading.Event()
    delivery = Delivery(on_error=pytest.fail, every=0.01)
    delivery.put((release.wait,))
    assert delivery.flush(0.05) is False
    assert delivery.put((release.is_set,))
    release.set()
    assert delivery.flush(5) is True
    delivery.close()


def test_a_closed_delivery_takes_nothing() -> None:
    """After `close` what was queued is done and nothing more is taken."""
    seen: list[int] = []
    delivery = Delivery(on_error=pytest.fail, every=0.01)
    delivery.put((seen.append, 1))
    assert delivery.close(5)
    assert delivery.close(5)
    assert seen == [1]
    assert delivery.put((seen.append, 2)) is False


def test_the_child_of_a_fork_starts_empty_with_a_thread_of_its_own() -> None:
    """The child neither repeats its parent's jobs nor hangs; the parent goes on."""
    reader, writer = os.pipe()
    gate = threading.Event()
    delivery = Delivery(on_error=pytest.fail, every=3600)
    delivery.put((gate.set,))
    assert delivery.flush(5)
    delivery.put((os.write, writer, b"parent "))
    child = os.fork()
    if not child:
        try:
            delivery.put((os.write, writer, b"child "))
            os._exit(0 if delivery.flush(5) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 100) == b"child "
    assert delivery.flush(5)
    assert os.read(reader, 100) == b"parent "
    delivery.close()
    os.close(reader)
    os.close(writer)


def test_a_round_comes_by_itself() -> None:
    """Without a flush what is queued is done a round later."""
    done = threading.Event()
    delivery = Delivery(on_error=pytest.fail, every=0.01)
    delivery.put((done.set,))
    assert until(done.is_set)
    delivery.close()


def test_several_threads_may_flush_at_once() -> None:
    """Flushes that race with each other and with the close all come back, and none raises."""
    delivery = Delivery(on_error=pytest.fail, every=0.001, on_round=lambda: None)
    errors: list[BaseException] = []
    seen: list[int] = []

    def work() -> None:
        try:
            for number in range(200):
                delivery.put((seen.append, number))
                assert delivery.flush(10)
                delivery._flushes.append(threading.Event())
                delivery._drain()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert delivery.close(10)
    assert errors == []
    assert len(seen) == 1200


def test_without_new_threads_the_queue_is_emptied_at_the_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An interpreter that goes down makes no threads: `put` takes the job, `close` runs it."""

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", no_more)
    seen: list[int] = []
    delivery = Delivery(on_error=pytest.fail)
    assert delivery.put((seen.append, 1))
    assert delivery.close(1)
    assert seen == [1]
