"""Looking before saving: the first rows of a dataset with their plan in words, and how tables may belong together."""

from dteg.datasets.preview.first_rows import Preview, preview
from dteg.datasets.preview.suggestions import JoinSuggestion, suggest_joins

__all__ = ["JoinSuggestion", "Preview", "preview", "suggest_joins"]
