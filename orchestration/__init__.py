"""The Dagster app: code locations `dteg` (pipelines) and `dteg_dbt` (models), and what `make demo` and `make dev` run."""
