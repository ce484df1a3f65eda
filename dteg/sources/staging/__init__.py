"""Sources that are copied: files, JSON from an API, GeoJSON, and databases without a foreign data wrapper.

A copy is made by our own extractors and the engine of pipelines into a new table, which takes the place of the old one
in one transaction. Whatever goes wrong, the old copy stays.
"""

from dteg.sources.staging.uploads import forget_uploads, keep_upload

__all__ = ["forget_uploads", "keep_upload"]
