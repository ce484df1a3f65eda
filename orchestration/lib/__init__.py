"""Component types of the project, as `dg list components` shows them. Importing it imports neither dbt nor a connector."""

from orchestration.lib.alerts import AlertsSensors
from orchestration.lib.cron import CronFolder
from orchestration.lib.datasets import DatasetsFolder
from orchestration.lib.folder import PipelinesFolder
from orchestration.lib.metadata_cache import MetadataCache
from orchestration.lib.normalize import NormalizedFile
from orchestration.lib.pipeline import PipelineComponent
from orchestration.lib.schema_changes import SchemaChangesSensor
from orchestration.lib.sources import SourcesSensor

__all__ = [
    "AlertsSensors",
    "CronFolder",
    "DatasetsFolder",
    "MetadataCache",
    "NormalizedFile",
    "PipelineComponent",
    "PipelinesFolder",
    "SchemaChangesSensor",
    "SourcesSensor",
]
