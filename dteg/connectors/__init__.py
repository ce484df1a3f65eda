"""The SDK: what a connector author imports.

Look at `components/` for connectors, and run `dteg.testing.contract_tests` over your own.
"""

from dteg.connectors.base import (
    Capabilities,
    ChangeSensor,
    Checkpoint,
    Connector,
    ConnectorConfig,
    Context,
    DeadLetter,
    Disposition,
    Extractor,
    Loader,
    LoadPlan,
    LoadResult,
    LoadSession,
    Processor,
    SchemaPolicy,
    Stream,
    Transformer,
)
from dteg.connectors.native import (
    NativeFormat,
    NativeLoadSession,
    NativeSource,
    RowsNeededError,
    TypesNeededError,
)
from dteg.core.batch import Batch, Schema
from dteg.core.columns import Column, Columns
from dteg.core.config import ConnectionUrl, Secret

__all__ = [
    "Batch",
    "Capabilities",
    "ChangeSensor",
    "Checkpoint",
    "Column",
    "Columns",
    "ConnectionUrl",
    "Connector",
    "ConnectorConfig",
    "Context",
    "DeadLetter",
    "Disposition",
    "Extractor",
    "LoadPlan",
    "LoadResult",
    "LoadSession",
    "Loader",
    "NativeFormat",
    "NativeLoadSession",
    "NativeSource",
    "Processor",
    "RowsNeededError",
    "Schema",
    "SchemaPolicy",
    "Secret",
    "Stream",
    "Transformer",
    "TypesNeededError",
]
