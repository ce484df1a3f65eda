"""What people type, as words: normalised, with a few synonyms. No query language: every word is only ever a word."""

import re
import unicodedata

MAX_WORDS = 12
_MAX_WORD_LENGTH = 40
_WORD = re.compile(r"[a-z0-9]+")
_REFERENCE = re.compile(r"^(?:marketplace|dteg)://")

# Words of one line mean one system. Only names that people really mix up, so that a search stays explainable.
_SAME = (
    ("postgres", "postgresql", "pg"),
    ("mongo", "mongodb"),
    ("mssql", "sqlserver"),
    ("elastic", "elasticsearch"),
    ("s3", "awss3", "amazons3"),
    ("gcs", "googlecloudstorage"),
    ("adls", "azuredatalake"),
    ("sheets", "googlesheets", "gsheets"),
    ("ga4", "googleanalytics"),
    ("bq", "bigquery"),
    ("k8s", "kubernetes"),
    ("mq", "rabbitmq"),
    ("sfdc", "salesforce"),
    ("excel", "xlsx", "xls"),
    ("rest", "http"),
    ("cdc", "replication", "binlog"),
    ("pii", "anonymise", "anonymize", "mask", "masking"),
    ("dedupe", "deduplicate", "deduplication"),
    ("llm", "openai", "gpt"),
)
SYNONYMS: dict[str, tuple[str, ...]] = {
    word: tuple(other for other in line if other != word) for line in _SAME for word in line
}
# Several words that are one thing.
_PHRASES = (
    ("change data capture", "cdc"),
    ("slowly changing dimensions", "scd2"),
    ("sql server", "mssql"),
    ("google cloud storage", "gcs"),
    ("azure data lake", "adls"),
)
# Words for what a component does, of other tools too.
KINDS: dict[str, str] = {
    word: kind
    for kind, words in {
        "extractor": ("extractor", "source", "tap", "reader", "extract", "read", "import"),
        "loader": ("loader", "destination", "sink", "target", "writer", "load", "write", "export"),
        "processor": ("processor", "process", "filter", "enrich"),
        "transformer": ("transformer", "transform", "transformation"),
    }.items()
    for word in words
}
# Words that say nothing about which component is meant.
_EMPTY = frozenset(
    [
        "a",
        "an",
        "and",
        "by",
        "component",
        "components",
        "connector",
        "connectors",
        "data",
        "for",
        "from",
        "i",
        "in",
        "integration",
        "into",
        "my",
        "of",
        "on",
        "or",
        "plugin",
        "the",
        "to",
        "via",
        "with",
    ]
)


def folded(text: str) -> str:
    """Return the text in lower case without accents and other marks."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(each for each in decomposed if not unicodedata.combining(each)).lower()


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order, at most 40 characters each."""
    return [word[:_MAX_WORD_LENGTH] for word in _WORD.findall(folded(text))]


def query_words(text: str) -> list[str]:
    """Return the words to look for: each once, without those that say nothing, unless there are no others."""
    plain = " ".join(words_of(_REFERENCE.sub("", text.strip())))
    for phrase, word in _PHRASES:
        plain = plain.replace(phrase, word)
    words = list(dict.fromkeys(plain.split()))
    return ([word for word in words if word not in _EMPTY] or words)[:MAX_WORDS]


def hints_of(text: str) -> frozenset[str]:
    """Return the words that say whose or of which kind it is: alone they find too much."""
    namespace, slash, _ = _REFERENCE.sub("", text.strip()).partition("/")
    return frozenset(KINDS) | frozenset(words_of(namespace) if slash else ())


def exact(text: str) -> str:
    """Return what is left of a name when case, separators and `dteg://` do not count."""
    return "".join(words_of(_REFERENCE.sub("", text.strip().partition("@")[0])))
