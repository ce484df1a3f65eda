"""Dictionaries: small typed tables that people keep by hand, and that datasets look values up in."""

from dteg.dictionaries.models import (
    Change,
    Dictionary,
    DictionaryColumn,
    DictionaryRows,
    DictionaryUpdate,
    ImportReport,
    NewDictionary,
    PutReport,
    RowProblem,
)
from dteg.dictionaries.service import Dictionaries

__all__ = [
    "Change",
    "Dictionaries",
    "Dictionary",
    "DictionaryColumn",
    "DictionaryRows",
    "DictionaryUpdate",
    "ImportReport",
    "NewDictionary",
    "PutReport",
    "RowProblem",
]
