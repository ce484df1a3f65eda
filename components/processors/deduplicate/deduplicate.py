"""Drops rows whose key came before, within the whole stream."""

from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.core.batch import Batch, Schema
from dteg.core.errors import ConfigError, InputError
from dteg.core.suggest import did_you_mean
