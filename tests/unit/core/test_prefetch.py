import contextlib
import threading
import time

import pytest

from dteg.core.prefetch import prefetch


def test_items_arrive_in_order_from_another_thread():
    threads = set()

    def numbers():
        for number in range(100):
            threads.add(threading.get_ident())
            yield number

    assert list(prefetch(numbers(), 4)) == list(range(100))
    assert threading.get_ident() not in threads


def test_it_works_ahead_but_no_further_than_asked():
    made = []

    def numbers():
        for number in range(100):
            made.append(number)
            yield number

    with contextlib.closing(prefetch(numbers(), 4)) as items:
        assert next(items) == 0
        deadline = time.monotonic() + 60
        while len(made) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(made) == 6  # one taken, four waiting, one in hand


def test_an_error_arrives_after_the_items_before_it():
    def numbers():
        yield 1
        raise ValueError("broken")

    items = prefetch(numbers(), 4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_closing_closes_the_source_where_it_ran():
    closed = []

    def numbers():
        try:
            while True:
                yield threading.get_ident()
        finally:
            closed.append(threading.get_ident())

    items = prefetch(numbers(), 2)
    worker = next(items)
    items.close()
    assert closed == [worker]


def test_nothing_runs_before_it_is_asked_for():
    started = []
    items = prefetch((started.append(number) for number in range(3)), 2)
    time.sleep(0.05)
    assert started == []
    items.close()
