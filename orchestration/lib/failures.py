"""Maps our errors to what Dagster should do next.

| error                    | Dagster                                                                |
|--------------------------|------------------------------------------------------------------------|
| TransientError           | the step is tried again, after a wait with jitter, then fails          |
| any other DtegError      | the step fails at once and the run is not repeated                     |
| anything else            | a bug: fails with its traceback                                        |

The engine has tried a TransientError `retry.max_attempts` times before it arrives here; the one
attempt more is for what outlives those, such as a server that restarts. What has no engine, such as
a backup, is tried `retry.max_attempts` times by Dagster.

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
from dteg.cron.names import CRON_TAG, MAX_MESSAGE, MESSAGE_TAG

NO_RUN_RETRY_TAG = "dagster/retry_on_asset_or_op_failure"
MAX_STEP_RETRIES = 1


@contextlib.contextmanager
def dagster_failures(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    retry: RetryPolicy,
    *,
    tried_before: bool = True,
) -> Iterator[None]:
    """Turn errors of dteg that leave the block into what Dagster understands.

    Args:
        context: The step.
        retry: How patiently a transient error is tried again.
        tried_before: Whether it was tried `max_attempts` times before it arrives here.
    """
    try:
        yield
    except TransientError as error:
        _leave_message(context, error)
        if retry.max_attempts == 1:  # no second attempt is wanted
            raise failure(error, allow_retries=False) from None
        # After an engine that has tried before: the longest wait the pipeline allows, with jitter.
        attempt = retry.max_attempts + 1 if tried_before else context.retry_number + 1
        wait_s = retry.delay_s(attempt, error, random.Random())  # noqa: S311 - jitter, not cryptography
        most = MAX_STEP_RETRIES if tried_before else retry.max_attempts - 1
        raise dg.RetryRequested(max_retries=most, seconds_to_wait=wait_s) from failure(error)
    except DtegError as error:
        context.instance.add_run_tags(context.run.run_id, {NO_RUN_RETRY_TAG: "false"})
        _leave_message(context, error)
        raise failure(error, allow_retries=False) from None


def _leave_message(context: dg.AssetExecutionContext | dg.OpExecutionContext, error: DtegError) -> None:
    """Write the reason into the run of a cron job, whose history shows it."""
    if CRON_TAG in context.run.tags:
        tags = {MESSAGE_TAG: str(error)[:MAX_MESSAGE]}
        context.instance.add_run_tags(context.run.run_id, tags)


def tell(context: dg.AssetExecutionContext | dg.OpExecutionContext, message: str) -> None:
    """Write into the run what came of it, for the history of cron jobs."""
    context.log.info(message)
    context.instance.add_run_tags(context.run.run_id, {MESSAGE_TAG: message[:MAX_MESSAGE]})


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
