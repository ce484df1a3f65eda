"""Start a server that speaks BigQuery's REST protocol: python bigquery_server.py PORT.

It runs on the Python of .ci/bootstrap bigquery, and ends when its standard input does. What bqemulator 1.4.0 cannot do:

- It loads an extension of DuckDB for places from the network, and fails without: left out, so no GEOGRAPHY.
- A dry run says 0 bytes, and maximum_bytes_billed is not looked at.
- Declared keys, the precision of NUMERIC and partitions are forgotten.
- Neither is a job stopped at its time limit, nor can jobs of other users be told apart.
"""

import os
import sys
import threading

from bqemulator.config import LogLevel, Settings
from bqemulator.server import run_forever
from bqemulator.storage.engine import DuckDBEngine


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    DuckDBEngine._load_spatial = lambda self: None
    threading.Thread(target=_end_with_input, daemon=True).start()
    run_forever(
        Settings(
            rest_port=int(sys.argv[1]),
            grpc_port=0,
            enable_format_extensions=False,
            metrics_enabled=False,
            log_level=LogLevel.ERROR,
        )
    )
