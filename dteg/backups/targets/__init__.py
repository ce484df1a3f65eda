"""Where backups lie: a folder, an object store (S3, Google Cloud Storage, Azure) or a folder behind SFTP."""

from dteg.backups.targets.opening import DEFAULT_VARIABLE, open_target
from dteg.backups.targets.port import Draft, Target, slug_of

__all__ = ["DEFAULT_VARIABLE", "Draft", "Target", "open_target", "slug_of"]
