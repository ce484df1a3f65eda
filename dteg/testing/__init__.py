"""For authors of connectors: the contract suite, in-memory adapters, samples and throwaway servers.

`contract_tests` lies in `dteg.testing.contract`, the fixtures in `dteg.testing.fixtures`; both need
pytest, the rest does not.
"""

from dteg.testing.freezing import frozen
from dteg.testing.mariadb import mariadb_database, mariadb_process, mariadb_server
from dteg.testing.memory import (
    MemoryExtractor,
    MemoryExtractorConfig,
    MemoryLoader,
    MemoryLoaderConfig,
    MemoryStore,
)
from dteg.testing.nats import nats_server
from dteg.testing.postgres15 import debian_postgres, tcp_postgres
from dteg.testing.samples import make_batch, make_context
from dteg.testing.servers import database, embedded_postgres, fresh_port

__all__ = [
    "MemoryExtractor",
    "MemoryExtractorConfig",
    "MemoryLoader",
    "MemoryLoaderConfig",
    "MemoryStore",
    "database",
    "debian_postgres",
    "embedded_postgres",
    "fresh_port",
    "frozen",
    "make_batch",
    "make_context",
    "mariadb_database",
    "mariadb_process",
    "mariadb_server",
    "nats_server",
    "tcp_postgres",
]
