"""Maps our errors to what Dagster should do next.

| error                    | Dagster                                                                |
|--------------------------|------------------------------------------------------------------------|
| TransientError           | the step is tried once more, after a wait with jitter, then fails      |
| any other DtegError      | the step fails at once and the run is not repeated                     |
| anything else            | a bug: fails with its traceback                                        |

The engine has tried a TransientError `retry.max_attempts` times before it arrives here; the one
attempt more is for what outlives those, such as a server that restarts.

Why not a `RetryPolicy`: Dagster applies it to every exception, so a wrong password would be tried
again, and to interrupts, so a cancelled step would start once more.

Why a run tag: `Failure(allow_retries=False)` only stops retries of the step. The daemon's
`run_retries` looks at the run, and would repeat all of it where an instance has
`retry_on_asset_or_op_failure` switched on.
"""

import contextlib
import random
from collections.abc import Iterator

import dagster as dg

from dteg.core.errors import ConfigError, ConnectorError, DtegError, TransientError
from dteg.core.retry import RetryPolicy

NO_RUN_RETRY_TAG = "dagster/retry_on_asset_or_op_failure"
MAX_STEP_RETRIES = 1


@contextlib.contextmanager
def dagster_failures(context: dg.AssetExecutionContext, retry: RetryPolicy) -> Iterator[None]:
    """Turn errors of dteg that leave the block into what Dagster understands."""
    try:
        yield
    except TransientError as error:
        if retry.max_attempts == 1:  # the pipeline wants no second attempt
            raise failure(error, allow_retries=False) from None
        attempts = retry.max_attempts + 1  # the longest wait the pipeline allows, with jitter
        wait_s = retry.delay_s(attempts, error, random.Random())  # noqa: S311 - jitter, not cryptography
        raise dg.RetryRequested(max_retries=MAX_STEP_RETRIES, seconds_to_wait=wait_s) from failure(error)
    except DtegError as error:
        context.instance.add_run_tags(context.run.run_id, {NO_RUN_RETRY_TAG: "false"})
        raise failure(error, allow_retries=False) from None


def failure(error: DtegError, *, allow_retries: bool = True) -> dg.Failure:
    """Return a Failure that says what happened and what to do, without a traceback of ours."""
    metadata: dict[str, dg.MetadataValue] = {"error": dg.MetadataValue.text(type(error).__name__)}
    if isinstance(error, ConfigError):
        problems = "\n".join(f"- {problem}" for problem in error.problems)
        metadata["problems"] = dg.MetadataValue.md(problems)
    if isinstance(error, ConnectorError):
        named = {"component": error.component, "stream": error.stream}
        metadata |= {name: dg.MetadataValue.text(value) for name, value in named.items() if value}
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=allow_retries)
