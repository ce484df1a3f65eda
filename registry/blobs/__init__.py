"""Files by the hash of their content, on disk or in an object store."""

from registry.blobs.store import Blob, BlobStore, DamagedBlobError, TooLargeError, open_blob_store

__all__ = ["Blob", "BlobStore", "DamagedBlobError", "TooLargeError", "open_blob_store"]
