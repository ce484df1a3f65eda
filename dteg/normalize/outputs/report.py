"""What was found, decided and proved, as JSON: the same file gives the same bytes."""

import json
from collections.abc import Mapping
from typing import Any

from dteg.normalize.engine import Analysis, Normalized


def report(
    analysis: Analysis, result: Normalized, *, source: Mapping[str, Any], written: Mapping[str, str]
) -> str:
    """Return the report.

    Args:
        analysis: What was found.
        result: What was decided and proved.
        source: The file: name and SHA-256; how the names were chosen.
        written: SHA-256 of the files beside the report, by name.
    """
    proof = result.proof
    content = {
        "source": dict(source),
        "proof": {**proof.model_dump(), "holds": proof.holds},
        "saved_percent": round(100 * (1 - proof.cells_after / proof.cells_before), 1)
        if proof.cells_before
        else 0.0,
        "plan": result.plan.model_dump(),
        "profile": analysis.profile.model_dump(),
        "files": dict(sorted(written.items())),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
