"""Component types of the project, as `dg list components` shows them. Importing it imports neither dbt nor a connector."""

from orchestration.lib.folder import PipelinesFolder
from orchestration.lib.pipeline import PipelineComponent

__all__ = ["PipelineComponent", "PipelinesFolder"]
