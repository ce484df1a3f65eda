"""Jobs that run by the clock: added, started and stopped while the project runs, and run by Dagster."""
