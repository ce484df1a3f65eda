"""What a cron job is called in Dagster."""

CRON_TAG = "dteg/cron"
"""Tag of a job's runs; its value is the job's id."""

MESSAGE_TAG = "dteg/message"
"""Tag of a run: what came of it."""

MAX_MESSAGE = 500


def schedule_name(name: str) -> str:
    """Return what a job's schedule is called, and its job unless it is that of a pipeline."""
    return f"cron__{name}"


def stand_in_key(name: str) -> list[str]:
    """Return the path of the asset that stands in for a broken file."""
    return ["dteg_config", "cron", name]
