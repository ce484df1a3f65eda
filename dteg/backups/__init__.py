"""Backups of databases: whole, signed, encrypted on wish, and proved by restoring them."""

from dteg.backups.models import Backup, Keep, Manifest, NewBackup, Pruned, Restored, RestoreOrder, Verified
from dteg.backups.service import Backups

__all__ = [
    "Backup",
    "Backups",
    "Keep",
    "Manifest",
    "NewBackup",
    "Pruned",
    "RestoreOrder",
    "Restored",
    "Verified",
]
