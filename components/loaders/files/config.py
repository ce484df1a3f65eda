"""The config of the files loader."""

from pathlib import PurePosixPath
from typing import Literal, Self, cast, get_args

from pydantic import Field, model_validator

from dteg.connectors.base import ConnectorConfig

FileFormat = Literal["csv", "jsonl", "parquet"]
Compression = Literal["none", "snappy", "gzip", "zstd", "lz4"]


class FilesLoaderConfig(ConnectorConfig):
    """Where to write, and how."""

    path: str = Field(
        min_length=1,
        description="File below the project folder, or a folder, ending with /, that gets one file per load; "
        "{stream} is replaced.",
    )
    format: FileFormat | None = Field(
        None, description="Default: from the suffix; .csv.gz and .jsonl.gz are packed."
    )
    compression: Compression = Field("zstd", description="Parquet: compression of the columns.")
    row_group_rows: int = Field(131_072, ge=1, le=10_000_000, description="Parquet: rows per row group.")
    formula_guard: bool = Field(
        False, description="CSV: put ' before texts that a spreadsheet would run as a formula."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format is None and self._suffix_format is None:
            raise ValueError(
                f"the name does not say the format; set format to one of {', '.join(get_args(FileFormat))}"
            )
        if self.is_packed and self.file_format == "parquet":
            raise ValueError("Parquet compresses its columns itself; leave .gz away and set compression")
        if self.formula_guard and self.file_format != "csv":
            raise ValueError("formula_guard is for CSV only")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether each load makes a file of its own."""
        return self.path.endswith("/")

    @property
    def is_packed(self) -> bool:
        """Whether the file is compressed as a whole."""
        return self.path.lower().endswith(".gz")

    @property
    def file_format(self) -> FileFormat:
        """The format, from the suffix when it is not given."""
        return self.format or cast("FileFormat", self._suffix_format)

    @property
    def _suffix_format(self) -> str | None:
        name = self.path.lower().removesuffix(".gz")
        suffix = PurePosixPath(name).suffix.removeprefix(".")
        return suffix if suffix in get_args(FileFormat) and not self.is_folder else None
