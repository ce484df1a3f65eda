"""Code location `dteg`: the project's pipelines. Light on purpose: imports neither dbt nor sqlglot."""

import warnings
from pathlib import Path

import dagster as dg

DEFS = Path(__file__).parent / "defs"


def build() -> dg.Definitions:
    """Load the component instances below `defs/`; steps run in the process of their run by default.

    The folder is named, because without one Dagster also imports every installed component type for the
    pages of its documentation, dagster-dbt and dbt among them: 6 s instead of 3 s for each reload and run.
    """
    import orchestration.defs

    with warnings.catch_warnings():
        # One line for each file and feature that Dagster itself still calls beta.
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)
        tree = dg.ComponentTree.from_module(defs_module=orchestration.defs, project_root=DEFS.parent.parent)
        instances = tree.build_defs(DEFS)
        return dg.Definitions.merge(
            instances, dg.Definitions(executor=dg.in_process_executor, component_tree=tree)
        )


defs = build()
