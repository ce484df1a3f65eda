"""Code location `dteg_dbt`: the dbt project. Apart from the pipelines, which load without dbt and survive a broken model."""

import dagster as dg

from dteg.core.project import Project


def build() -> dg.Definitions:
    """Build the definitions of the project's dbt folder."""
    from orchestration.lib.dbt import dbt_definitions

    return dbt_definitions(Project.find())


defs = build()
