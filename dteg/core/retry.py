"""Retries with jittered backoff, decided by the class of the error."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import TransientError

T = TypeVar("T")


class RetryPolicy(ConfigModel):
    """How often and how patiently a transient failure is tried again.

    The default waits 30 to 61 s in all, which is longer than a server takes to restart and recover.
    """

    max_attempts: int = Field(7, ge=1, le=20, description="Attempts in all, the first one included.")
    base_delay_s: float = Field(1.0, gt=0, le=60, description="Upper bound of the first wait.")
    max_delay_s: float = Field(30.0, gt=0, le=3600, description="Upper bound of any wait.")

    def allows(self, error: BaseException) -> bool:
        """Whether to try again: not when the other side asks for more patience than we have."""
        return isinstance(error, TransientError) and (error.retry_after_s or 0) <= self.max_delay_s

    def delay_s(self, attempt: int, error: TransientError, rng: random.Random) -> float:
        """Return the wait after failed attempt number `attempt` (from 1), or what was asked.

        Half of it is jitter: all of it would let one run in ten use up its attempts within a restart.
        """
        if error.retry_after_s is not None:
            return error.retry_after_s
        ceiling: float = min(self.max_delay_s, self.base_delay_s * 2.0 ** (attempt - 1))
        return rng.uniform(ceiling / 2, ceiling)


def call_with_retry(
    action: Callable[[], T],
    policy: RetryPolicy,
    *,
    on_retry: Callable[[int, float, TransientError], None] = lambda attempt, delay_s, error: None,
    sleep: Callable[[float], None] = time.sleep,
    rng: random.Random | None = None,
) -> T:
    """Call `action` until it succeeds, fails for good or runs out of attempts.

    Only TransientError is tried again (see `RetryPolicy.allows`); anything else leaves at once.

    Args:
        action: Called without arguments; must be safe to repeat.
        policy: Attempts and waits.
        on_retry: Told (attempt, delay_s, error) before each wait.
        sleep: Waits; replaced in tests.
        rng: Source of jitter; fixed in tests.

    Returns:
        What `action` returned.

    Raises:
        TransientError: The last one, after `max_attempts`, or one that asks to wait longer than `max_delay_s`.
    """
    source = rng or random.Random()  # noqa: S311 - jitter, not cryptography
    attempt = 1
    while True:
        try:
            return action()
        except TransientError as error:
            if attempt >= policy.max_attempts or not policy.allows(error):
                raise
            delay_s = policy.delay_s(attempt, error, source)
            on_retry(attempt, delay_s, error)
        sleep(delay_s)
        attempt += 1
