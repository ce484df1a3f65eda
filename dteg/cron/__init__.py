"""Jobs that run by the clock: added, started and stopped while the project runs, and run by Dagster."""

from dteg.cron.models import CronJob, CronPreview, CronRun, NewCronJob
from dteg.cron.service import CronJobs

__all__ = ["CronJob", "CronJobs", "CronPreview", "CronRun", "NewCronJob"]
