"""The files loader: one file per stream, or a folder with one file per load."""

import hashlib

from dteg.connectors.base import Capabilities, Loader, LoadPlan, LoadSession
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName

from .config import FilesLoaderConfig
from .publication import Places
from .session import FilesLoadSession

__all__ = ["FilesLoader", "FilesLoaderConfig"]


class FilesLoader(Loader[FilesLoaderConfig]):
    """Write a file as a whole (`replace`), or files into a folder (`append` and `replace`)."""

    capabilities = Capabilities(dispositions=frozenset({"append", "replace"}), transactional=True)

    @classmethod
    def target(cls, config: FilesLoaderConfig, stream: str) -> TableName:  # noqa: ARG003 - files are no tables
        """Return the stream, under a schema of its own."""
        return TableName("files", stream)

    def open(self, plan: LoadPlan) -> LoadSession:
        """Wait for the target's lock, and clean up after loads that died.

        Raises:
            ConfigError: The path or the disposition cannot be used.
        """
        self._check_plan(plan)
        places = self._places(plan.stream)
        key = hashlib.sha256(str(places.base).encode()).hexdigest()[:32]
        lock = self.context.project.state_dir / "locks" / f"files-{key}.lock"
        return FilesLoadSession(self.config, plan, places, lock)

    def _check_plan(self, plan: LoadPlan) -> None:
        if plan.disposition not in self.capabilities.dispositions:
            raise ConfigError(
                f"files cannot {plan.disposition}: rows of a file have no keys; use replace or append"
            )
        if plan.schema_policy == "quarantine":
            raise ConfigError("files cannot quarantine columns; use schema_policy evolve or freeze")
        if plan.disposition == "append" and not self.config.is_folder:
            raise ConfigError(f"path {self.config.path!r}: append needs a folder, written with / at the end")

    def _places(self, stream: str) -> Places:
        root = self.context.project.root.resolve()
        base = (root / self.config.path.replace("{stream}", stream)).resolve()
        if base == root or not base.is_relative_to(root):
            raise ConfigError(f"path {self.config.path!r} is not below the project folder")
        if base.is_dir() and not self.config.is_folder:
            raise ConfigError(
                f"path {self.config.path!r} is a folder; write / at its end to append files to it"
            )
        return Places(base, f".{self.config.file_format}" if self.config.is_folder else None)
