"""Reads a metadata cache, and makes of it what a model needs to write SQL.

It stands on the standard library alone, and imports nothing that is slow. Buckets need `obstore`
(`dteg[metadata-client]`), which is imported when one is read.
"""

from dteg.metadata.client.client import MetadataClient
from dteg.metadata.client.documents import TamperedError
from dteg.metadata.client.prompts import Context

__all__ = ["Context", "MetadataClient", "TamperedError"]
