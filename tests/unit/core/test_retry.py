import random

import pytest
from pydantic import ValidationError

from dteg.core.errors import PermanentError, TransientError
from dteg.core.retry import RetryPolicy, call_with_retry


def failing(times, error=TransientError):
    """Return an action that fails `times` times, and the list of its calls."""
    calls = []

    def action():
        calls.append(1)
        if len(calls) <= times:
            raise error(f"failure {len(calls)}")
        return "done"

    return action, calls


def run(action, policy, **options):
    waits = []
    result = call_with_retry(action, policy, sleep=waits.append, rng=random.Random(7), **options)
    return result, waits


def test_it_tries_until_it_succeeds():
    action, calls = failing(2)
    result, waits = run(action, RetryPolicy(max_attempts=3))
    assert (result, len(calls), len(waits)) == ("done", 3, 2)


def test_the_last_error_leaves_after_max_attempts():
    action, calls = failing(9)
    with pytest.raises(TransientError, match="failure 3"):
        run(action, RetryPolicy(max_attempts=3))
    assert len(calls) == 3


@pytest.mark.parametrize("error", [PermanentError, ValueError, KeyboardInterrupt])
def test_only_transient_errors_are_tried_again(error):
    action, calls = failing(1, error)
    with pytest.raises(error):
        run(action, RetryPolicy())
    assert len(calls) == 1


def test_one_attempt_means_no_wait():
    action, calls = failing(1)
    with pytest.raises(TransientError):
        run(action, RetryPolicy(max_attempts=1))
    assert len(calls) == 1


def test_waits_are_jittered_below_a_doubling_bound_and_a_limit():
    policy = RetryPolicy(base_delay_s=1, max_delay_s=5)
    rng = random.Random(11)
    error = TransientError("x")
    for attempt, bound in [(1, 1), (2, 2), (3, 4), (4, 5), (20, 5)]:
        waits = [policy.delay_s(attempt, error, rng) for _ in range(300)]
        assert 0.5 * bound <= min(waits) < 0.55 * bound
        assert 0.95 * bound < max(waits) <= bound


def test_by_default_a_restart_of_a_server_is_waited_for_but_not_for_minutes():
    for seed in range(100):
        waits = []
        with pytest.raises(TransientError):
            call_with_retry(failing(99)[0], RetryPolicy(), sleep=waits.append, rng=random.Random(seed))
        assert 30 <= sum(waits) <= 61


def test_the_same_seed_gives_the_same_waits():
    waits = [run(failing(3)[0], RetryPolicy())[1] for _ in range(2)]
    assert waits[0] == waits[1]
    assert len(set(waits[0])) == 3


def test_a_wait_that_was_asked_for_is_kept():
    rng = random.Random(1)
    assert RetryPolicy().delay_s(1, TransientError("x", retry_after_s=7), rng) == 7
    assert RetryPolicy().delay_s(1, TransientError("x", retry_after_s=0), rng) == 0


def test_who_asks_for_more_patience_than_the_policy_has_is_not_asked_again():
    calls = []

    def action():
        calls.append(1)
        raise TransientError("come back in an hour", retry_after_s=3600)

    with pytest.raises(TransientError, match="come back"):
        run(action, RetryPolicy(max_delay_s=10))
    assert len(calls) == 1


def test_each_retry_is_told_before_its_wait():
    told = []
    _, waits = run(failing(2)[0], RetryPolicy(), on_retry=lambda *args: told.append(args))
    assert [(attempt, str(error)) for attempt, _, error in told] == [(1, "failure 1"), (2, "failure 2")]
    assert [delay for _, delay, _ in told] == waits


@pytest.mark.parametrize(
    "bad", [{"max_attempts": 0}, {"max_attempts": 21}, {"base_delay_s": 0}, {"max_delay_s": float("inf")}]
)
def test_a_policy_without_end_is_refused(bad):
    with pytest.raises(ValidationError):
        RetryPolicy(**bad)
