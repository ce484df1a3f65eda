"""A file taken apart into tables, on this machine."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.normalize import engine
from dteg.normalize.discovery import MAX_DETERMINANT
from dteg.normalize.first_form import Splitting
from dteg.normalize.flat import load, workspace
from dteg.normalize.models import Form, Plan, Profile, Proof
from dteg.normalize.naming import plain

if TYPE_CHECKING:
    from dteg.normalize.advice import Advice

FileFormat = Literal["csv", "tsv", "json", "jsonl", "xlsx", "parquet"]
_LEAST_MB, _MOST_MB, _MEMORY_PER_BYTE = 200, 1000, 10
Watch = Callable[[str], None]


class NormalizeRequest(ConfigModel):
    """How a file is taken apart."""

    format: FileFormat | None = Field(None, description="Format of the file; default: from its name.")
    types: dict[str, str] = Field({}, description="SQL types by column; the others are inferred.")
    options: dict[str, Any] = Field(
        {}, description="Settings of the files extractor, such as encoding, delimiter, sheet, records_path."
    )
    form: Form = Field("3NF", description="Normal form.")
    lists: Splitting = Field(
        "sure",
        description="Lists that become tables: sure, all (any commas and numbered columns too) or none.",
    )
    determinants: int = Field(
        MAX_DETERMINANT, ge=1, le=3, description="Most columns that together identify a thing."
    )
    into: str = Field("", description="Schema of the warehouse that the tables go to.")
    replace: bool = Field(
        False, description="Exchange the tables that an earlier run has made in the schema."
    )
    out: str = Field("", description="Folder that everything is written to.")
    table_format: Literal["csv", "parquet"] = Field("csv", description="Format of the tables in the folder.")
    ask_model: bool = Field(
        False, description="Let the configured model choose and name tables among what was measured."
    )
    share_values: bool = Field(False, description="Let the model see values; else only their shape.")
    name: str = Field("", description="What the table of the rows is called; default: as the file.")


class NormalizeResult(ConfigModel):
    """What became of a file."""

    plan: Plan = Field(description="The tables.")
    proof: Proof = Field(description="What was proved of them.")
    profile: Profile = Field(description="What the file holds.")
    diagram: str = Field(description="The tables as a diagram of Mermaid.")
    ddl: str = Field(description="The statements that make them.")
    files: dict[str, str] = Field(description="SHA-256 of the files in the folder, by name.")
    into: str = Field("", description="The schema they are in.")
    out: str = Field("", description="The folder they are in.")
    archive: str = Field(
        "", description="Id of the zip file with the folder, of a studio that was asked for it."
    )


class Normalizer:
    """Takes files apart for one project.

    Args:
        project: Whose connectors read the files, and whose warehouse the tables go to.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return that of a project."""
        return cls(project)

    def run(self, request: NormalizeRequest, file: str, watch: Watch = lambda step: None) -> NormalizeResult:
        """Look at a file, make its tables, prove them, and write or load them.

        Args:
            request: How.
            file: Path or URL.
            watch: Is told what is done now.

        Raises:
            InputError: The file cannot be read.
            ConflictError: The folder or a table is there already.
            QualityGateError: The tables are not the file. Nothing was written, as after each of these.
        """
        from dteg.normalize.outputs import ddl, diagram
        from dteg.normalize.outputs.folder import sha256_of, write_folder
        from dteg.normalize.outputs.warehouse import load_tables

        if "://" in file and request.out and Path(request.out).exists():
            raise ConfigError(f"{request.out} is there already")
        with (
            tempfile.TemporaryDirectory(prefix="dteg-") as folder,
            workspace(Path(folder), _memory(file)) as connection,
        ):
            watch("reading")
            how = {"format": request.format, "types": request.types, "options": request.options}
            flat = load(connection, self.project, file, how, name=request.name)
            watch("looking for dependencies")
            analysis = engine.analyse(flat, most=request.determinants, splitting=request.lists)
            advice = self._advice(analysis, request, watch)
            plan = engine.design(analysis, request.form, advice.choice if advice else None, request.lists)
            if advice:
                plan = plan.model_copy(update={"notes": [*plan.notes, advice.note]})
            watch("proving")
            result = engine.normalize(analysis, plan)
            schema = request.into or plain(flat.name)
            written: dict[str, str] = {}
            if request.into:
                watch("loading")
                load_tables(analysis, result, self.project.warehouse_url(), schema, replace=request.replace)
            if request.out:
                watch("writing")
                source = {
                    "name": Path(file).name,
                    "sha256": sha256_of(Path(file)) if Path(file).is_file() else "",
                }
                written = write_folder(
                    analysis,
                    result,
                    Path(request.out),
                    schema=schema,
                    source=source,
                    format_=request.table_format,
                )
            return NormalizeResult(
                plan=result.plan, proof=result.proof, profile=analysis.profile, diagram=diagram.mermaid(flat, result.plan),
                ddl=ddl.script(flat, result, schema), files=written, into=request.into, out=request.out,
            )  # fmt: skip

    def _advice(self, analysis: engine.Analysis, request: NormalizeRequest, watch: Watch) -> "Advice | None":
        if not request.ask_model:
            return None
        from dteg.ai import Model
        from dteg.normalize.advice import advise

        if (model := Model.configured()) is None:
            raise ConfigError(
                "no model is configured; set DTEG_AI_MODEL, and DTEG_AI_URL for one that is not OpenAI's"
            )
        watch(f"asking {model.name}")
        return advise(analysis, model, request.form, share_values=request.share_values)


def _memory(file: str) -> str:
    """Return how much memory DuckDB may take: about what the tables of the file need, the rest is on disk."""
    size_mb = Path(file).stat().st_size >> 20 if Path(file).is_file() else _MOST_MB
    return f"{min(max(size_mb * _MEMORY_PER_BYTE, _LEAST_MB), _MOST_MB)}MB"
