"""The files extractor: all files of one path are one stream."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from dteg.connectors.base import Capabilities, ChangeSensor, Checkpoint, Context, Extractor, Stream
from dteg.connectors.native import NativeSource
from dteg.core.batch import Batch
from dteg.core.errors import ConfigError, InputError

from .config import FileFormat, FilesConfig
from .formats import Format
from .locations import FilesSensor, SourceFile, find_files

__all__ = ["FilesConfig", "FilesExtractor"]


class FilesExtractor(Extractor[FilesConfig]):
    """Read the files of a path that the checkpoint does not know yet.

    The position is a mapping from file to fingerprint; a file that has changed is read again as a whole.
    """

    capabilities = Capabilities(resumable=True)

    def __init__(self, config: FilesConfig, context: Context) -> None:
        """Open nothing yet."""
        super().__init__(config, context)
        self._position: dict[str, str] = {}

    @classmethod
    def stream_names(cls, config: FilesConfig) -> list[str]:
        """Return the one stream."""
        return [config.stream_name]

    def check(self) -> None:
        """Look at the files, or ask the server for the headers of the URL."""
        if self.config.is_http:
            FilesSensor(self.config, self.context.project).fingerprint()
        else:
            find_files(self.config, self.context.project)

    def streams(self) -> Iterable[Stream]:
        """Read all files once to find columns and types, unless they are known."""
        format_ = self._format
        schema = (format_.guess if self.context.may_guess else format_.schema)(self._files)
        if not schema.names:
            raise InputError(
                "holds no records, so no columns; name them in `columns`", source=self.config.path
            )
        unknown = [name for name in self.config.primary_key if name not in schema.names]
        if unknown:
            raise ConfigError(f"primary_key: there is no column {unknown[0]!r} in {self.config.path}")
        return [
            Stream(self.config.stream_name, schema, tuple(self.config.primary_key), is_guess=format_.is_guess)
        ]

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield the records of files that are new or changed, in the order of their names."""
        known = self._position = dict(since.position.get("files", {})) if since else {}
        for file in self._files:
            if known.get(file.display) != file.fingerprint:
                self.context.source = file.display
                yield from self._format.read(file, stream.schema)
                known[file.display] = file.fingerprint

    def native(self, stream: Stream, since: Checkpoint | None) -> NativeSource | None:
        """Offer delimited files as they are, when a database would read them as we do."""
        known = dict(since.position.get("files", {})) if since else {}
        files = [file for file in self._files if known.get(file.display) != file.fingerprint]

        def on_end(file: SourceFile) -> None:
            known[file.display] = file.fingerprint
            self._position = known

        source = self._format.native(files, stream.schema, on_end)
        if source is not None:
            self._position = known
        return source

    def checkpoint(self, stream: Stream) -> dict[str, Any]:
        """Return all files ever read: one that comes back unchanged is not read again."""
        return {"files": dict(self._position)}

    def change_sensor(self) -> ChangeSensor:
        """Watch size and time of the files, or the validators of the URL."""
        return FilesSensor(self.config, self.context.project)

    @cached_property
    def _files(self) -> list[SourceFile]:
        return find_files(self.config, self.context.project)

    @cached_property
    def _format(self) -> Format:
        return _reader_of(self.config.file_format)(self.config, self.context.reject)


def _reader_of(name: FileFormat) -> type[Format]:
    """Import what reads a format, and not what reads the others: each has a parser of its own."""
    if name in ("csv", "tsv"):
        from .csv_format import CsvFormat

        return CsvFormat
    if name == "parquet":
        from .parquet_format import ParquetFormat

        return ParquetFormat
    if name == "xlsx":
        from .xlsx_format import XlsxFormat

        return XlsxFormat
    if name == "geojson":
        from .geojson_format import GeoJsonFormat

        return GeoJsonFormat
    from .json_format import JsonFormat

    return JsonFormat
