"""Broken pipeline files."""

from tests.e2e.bad_input.case import GOOD_PIPELINE, SEEDED, Case, added, changed, pipeline_case

SECRET = "hunter2-very-secret"
BOMB = "pipeline:\n  a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def rules(text: str) -> str:
    return added(f"  quality:\n    validation_rules:\n      - {text}")


def extract(text: str) -> str:
    return changed("          stream: data\n", f"          stream: data\n          {text}\n")


def load(text: str) -> str:
    return changed("        write: merge\n        primary_key: [id]\n", f"        {text}\n")


NOT_YAML = [
    pipeline_case("empty-file", "nothing in the file", "", None, "expected a mapping, found nothing"),
    pipeline_case("only-comments", "nothing but comments", "# later\n", None, "expected a mapping, found nothing"),
    pipeline_case("tab", "a tab for indentation", changed("  timezone", "\ttimezone"), 4, "tab", "indent with spaces"),
    pipeline_case("bad-indentation", "a key indented too little", changed("  timezone", " timezone"), 4, "not valid YAML"),
    pipeline_case("open-bracket", "a bracket that is not closed", changed("[id]", "[id"), 15, "not valid YAML"),
    pipeline_case("open-quote", "a quote that is not closed", changed('* *"', "* *"), 3, "not valid YAML"),
    pipeline_case("duplicate-key", "one key twice", added("  name: again"), 5, "'name' stands twice", "first in line 2"),
    pipeline_case("alias-bomb", "aliases that unfold to 9^9 values", BOMB, 2, "anchors and aliases .* not allowed"),
    pipeline_case("merge-key", "a merge key", added("  <<: {timezone: UTC}"), 5, r"merge keys \(<<\)"),
    pipeline_case("deep-lists", "3,000 lists in one another", lambda: b"pipeline: " + b"[" * 3000 + b"]" * 3000, 1, "nested deeper than 20"),
    pipeline_case("deep-mappings", "3,000 mappings in one another", lambda: b"{a: " * 3000 + b"}" * 3000, 1, "nested deeper than 20"),
    pipeline_case("two-documents", "two YAML documents", GOOD_PIPELINE + "---\n" + GOOD_PIPELINE, 16, "more than one YAML document"),
    pipeline_case("python-tag", "a tag that makes an object", changed("UTC", "!!python/object/apply:os.system [id]"), 4, "the tag .* is not allowed"),
    pipeline_case("sql-tag", "a tag of another program", changed("UTC", "!sql SELECT 1"), 4, "the tag !sql is not allowed"),
    pipeline_case("binary-tag", "a value in base64", changed("UTC", "!!binary aGk="), 4, "the tag .*binary is not allowed"),
    pipeline_case("list-as-key", "a list where a key stands", added("  ? [a, b]\n  : c"), 5, "a key must be a plain text"),
    pipeline_case("not-utf8", "Latin-1 instead of UTF-8", changed("UTC", "Zürich").encode("latin-1"), 4, "not UTF-8"),
    pipeline_case("utf16", "UTF-16 instead of UTF-8", GOOD_PIPELINE.encode("utf-16"), 1, "not UTF-8"),
    pipeline_case("nul", "a NUL character", changed("UTC", "U\0C"), 4, "NUL"),
    pipeline_case("control-character", "a control character", changed("UTC", "U\x07C"), 4, "not valid YAML"),
    pipeline_case("too-large", "more than 1 MB", lambda: GOOD_PIPELINE.encode() + b"# filler\n" * 120_000, None, "larger than 1000000 bytes"),
    pipeline_case("binary-file", "no text at all", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), 1),
    pipeline_case("surrogate", "half of a character pair", changed("UTC", r'"\ud800"'), 4),
]  # fmt: skip

STRUCTURE = [
    pipeline_case("top-list", "a list at the top", "- pipeline\n", 1, "expected a mapping, found a list"),
    pipeline_case("top-text", "a text at the top", "hello\n", 1, "expected a mapping, found a text"),
    pipeline_case("wrong-top-key", "another key than `pipeline`", changed("pipeline:", "pipelines:"), 1, "unknown key 'pipelines'; did you mean \"pipeline\""),
    pipeline_case("unknown-key", "an unknown key", changed("schedule", "shedule"), 3, "unknown key 'shedule'; did you mean \"schedule\""),
    pipeline_case("unknown-key-in-step", "an unknown key in a step", changed("primary_key", "primary_keys"), 15, "unknown key 'primary_keys'; did you mean \"primary_key\""),
    pipeline_case("unknown-extractor-setting", "an unknown setting of the extractor", extract("delimeter: ';'"), 11, "unknown key 'delimeter'; did you mean \"delimiter\""),
    pipeline_case("unknown-loader-setting", "an unknown setting of the loader", changed("{table: raw.target}", "{table: raw.target, tabel: x}"), 13, "unknown key 'tabel'; did you mean \"table\""),
    pipeline_case("missing-name", "no name", changed("  name: bad\n", ""), 1, "pipeline.name", "this key is required"),
    pipeline_case("missing-table", "a loader without its table", changed("{table: raw.target}", "{}"), 13, "table", "this key is required"),
    pipeline_case("list-for-name", "a list where a text belongs", changed("name: bad", "name: [bad]"), 2, "must be a text"),
    pipeline_case("text-for-steps", "a text where a list belongs", "pipeline:\n  name: bad\n  steps: files\n", 3, "must be a list"),
    pipeline_case("text-for-key", "a text where a list of columns belongs", changed("[id]", "id"), 15, "must be a list"),
    pipeline_case("negative-count", "a number below its limit", load("write: append\n        max_bad_rows: -1"), 15, "must be at least 0"),
    pipeline_case("huge-number", "a number of 1,000 digits", load("max_bad_rows: " + "9" * 1000), 14, "more than 40 digits"),
    pipeline_case("not-a-number", "NaN for a number", extract("timeout_s: .nan"), 11),
    pipeline_case("bad-name", "capital letters in the name", changed("name: bad", "name: Bad Name"), 2),
    pipeline_case("unknown-disposition", "an unknown way to write", load("write: mrege"), 14, "'append', 'replace', 'merge' or 'scd2'; did you mean \"merge\""),
    pipeline_case("bad-cron", "an impossible cron expression", changed("0 6 * * *", "0 25 * * *"), 3, "not a cron expression"),
    pipeline_case("cron-of-six", "a cron expression of six fields", changed("0 6 * * *", "0 0 6 * * *"), 3, "five fields"),
    pipeline_case("unknown-timezone", "an unknown time zone", changed("UTC", "Mars/Olympus"), 4, "unknown time zone"),
    pipeline_case("bad-duration", "a duration without a unit", added("  freshness: {max_age: 26}"), 5),
    pipeline_case("unknown-duration", "a duration in an unknown unit", added("  freshness: {max_age: 26 hours}"), 5, "not a duration"),
    pipeline_case("watch-too-often", "a watch every second", added("  watch: {every_s: 1}"), 5, "must be at least 5"),
    pipeline_case("both-forms", "steps and the short form together", added("  load: {type: postgres, config: {table: raw.x}}"), 1, "either steps: or"),
    pipeline_case("no-steps", "no step", "pipeline:\n  name: bad\n", 1, "a pipeline needs steps"),
    pipeline_case("step-of-two", "a step that is two", changed("    - load:", "      load:"), 6, "exactly one of"),
    pipeline_case("extract-without-load", "an extract without a load", GOOD_PIPELINE[: GOOD_PIPELINE.index("    - load")], 1, "this extract has no load"),
    pipeline_case("load-without-extract", "a load without an extract", "pipeline:\n  name: bad\n  steps:\n    - load: {type: postgres, config: {table: raw.target}}\n", 1, "needs an extract before it"),
    pipeline_case("transform-first", "a transform before a load", changed("  steps:\n", "  steps:\n    - transform: {type: sql, file: x.sql}\n"), 1, "transforms come after all loads"),
    pipeline_case("sql-without-file", "a SQL transform without its file", GOOD_PIPELINE + "    - transform: {type: sql}\n", 16, "needs file: path"),
]  # fmt: skip

MEANING = [
    pipeline_case("unknown-extractor", "an unknown extractor", changed("type: files", "type: fies"), 7, "no extractor 'fies'; did you mean \"files\""),
    pipeline_case("marketplace", "a component of the marketplace that is not installed", added("  components: {marketplace: [{name: x, source: dteg://a/x}]}"), 5, "dteg://a/x is not installed; install what pipelines need with: dteg install"),
    pipeline_case("unknown-loader", "an unknown loader", changed("type: postgres", "type: oracle"), 12, "no loader 'oracle'; there are: "),
    pipeline_case("unknown-processor", "an unknown processor", changed("    - load:", "    - process: {type: renam}\n    - load:"), 11, "no processor 'renam'; did you mean \"rename\""),
    pipeline_case("unknown-installed", "a component that is not installed", changed("type: files", "type: dteg://acme/sap"), 7, "dteg install marketplace://acme/sap"),
    pipeline_case("merge-without-key", "a merge without primary_key", load("write: merge"), 11, "write: merge needs primary_key"),
    pipeline_case("lookback-without-cursor", "a lookback without a cursor", load("write: append\n        lookback: 2h"), 11, "lookback needs cursor"),
    pipeline_case("lookback-with-append", "a lookback with append", load("write: append\n        cursor: id\n        lookback: 2"), 11, "would load rows twice"),
    pipeline_case("lookback-unit", "a lookback in an unknown unit", load("write: merge\n        primary_key: [id]\n        cursor: id\n        lookback: 2 hours"), 17, "not a duration"),
    pipeline_case("cursor-with-replace", "a cursor with replace", load("write: replace\n        cursor: id"), 11, "would drop older rows"),
    pipeline_case("missing-key-column", "a primary_key that does not arrive", changed("[id]", "[uid]"), 15, "no column 'uid' arrives; there are: id, name, amount"),
    pipeline_case("missing-cursor-column", "a cursor that does not arrive", load("write: append\n        cursor: updated_at"), 15, "no column 'updated_at' arrives"),
    pipeline_case("two-loads-of-one-table", "one table loaded twice", GOOD_PIPELINE + GOOD_PIPELINE[GOOD_PIPELINE.index("    - extract") :], None, "raw.target is loaded twice"),
    pipeline_case("table-of-three-parts", "a table name of three parts", changed("raw.target", "db.raw.target"), 13, "3 parts; write schema.table"),
    pipeline_case("long-table", "a table name that PostgreSQL would cut", changed("raw.target", "raw." + "t" * 64), 13, "longer than 63 bytes"),
    pipeline_case("unknown-type", "an unknown SQL type", extract("columns: {id: bigit}"), None, "unknown type 'bigit'; did you mean \"bigint\""),
    pipeline_case("unknown-encoding", "an unknown encoding", extract("encoding: utf-88"), None, "unknown text encoding 'utf-88'"),
    pipeline_case("codec-that-is-none", "a codec that reads no text", extract("encoding: zlib"), None, "unknown text encoding 'zlib'"),
    pipeline_case("long-delimiter", "a delimiter of two characters", extract("delimiter: '||'"), 11, "at most 1 character"),
    pipeline_case("unknown-format", "a file name that says no format", changed("data.csv", "data.bin"), None, "set format to one of csv"),
    pipeline_case("nul-in-path", "a path with a NUL character", changed("path: data.csv", r'path: "da\0ta.csv"'), 8, "path holds a NUL"),
    pipeline_case("unknown-home", "the home of an unknown user", changed("path: data.csv", "path: ~nobody-here/data.csv"), None, "there is no such home folder", at="~nobody-here/data.csv"),
    pipeline_case("surrogate-in-path", "half of a character pair in a path", changed("path: data.csv", r'path: "\ud800.csv"'), None),
    pipeline_case("template-param", "a template with an unknown parameter", changed("data.csv", '"{{ params.file }}"'), 9, "file is not set"),
    pipeline_case("template-env", "a template with an unset variable", changed("data.csv", '"{{ env.NO_SUCH_THING }}/x.csv"'), 9, "NO_SUCH_THING is not set"),
    pipeline_case("template-syntax", "a template that is not one", changed("data.csv", '"{{ 1 + }}.csv"'), 9, r"\{\{ 1 \+ \}\}"),
    pipeline_case("template-statement", "a template with a loop", changed("data.csv", '"{% for x in y %}{% endfor %}.csv"'), 9, "only .* expressions are allowed"),
    pipeline_case("template-escape", "a template that leaves the sandbox", changed("data.csv", "\"{{ ''.__class__.__mro__ }}.csv\""), 9, "unsafe|__class__"),
    pipeline_case("unknown-param", "a parameter that the file has not", GOOD_PIPELINE, None, "unknown parameter 'day'", arguments=("--param", "day=1")),
    pipeline_case("rule-unknown-table", "a rule on a table that is not loaded", rules("{type: null_check, table: raw.tarjet, columns: [id]}"), 7, 'does not load \'raw.tarjet\'; did you mean "raw.target"'),
    pipeline_case("rule-unknown-type", "an unknown rule", rules("{type: nullcheck, columns: [id]}"), 7, "null_check"),
    pipeline_case("rule-without-column", "a rule without its column", rules("{type: range, min: 1}"), 7, "column", "required"),
    pipeline_case("rule-limits", "a range whose limits are swapped", rules("{type: range, column: id, min: 9, max: 1}"), 7, "min 9 is greater than max 1"),
    pipeline_case("rule-pattern", "a pattern that is no regular expression", rules("{type: format_check, column: name, pattern: '(['}"), 7),
    pipeline_case("rule-unknown-column", "a rule on a column that does not arrive", rules("{type: null_check, columns: [uid]}"), None, "check null_check_uid failed", "uid", at="", code=1, loaded=SEEDED),
    pipeline_case("missing-table-before", "depends_on a table that is not there", added("  depends_on: [raw.missing]"), None, "depends on raw.missing, which is not there"),
    pipeline_case("bad-table-before", "depends_on what is no table name", added("  depends_on: [a.b.c]"), 5, "3 parts"),
    pipeline_case("missing-sql-file", "a SQL transform whose file is not there", GOOD_PIPELINE + "    - transform: {type: sql, file: no.sql}\n", None, "sql file no.sql cannot be read: No such file"),
    pipeline_case("missing-dbt-project", "a dbt transform without a dbt project", GOOD_PIPELINE + "    - transform: {type: dbt}\n", None, "needs a dbt project in dbt_project/"),
]  # fmt: skip

SECRETS = [
    pipeline_case("secret-literal", "a secret written out", extract(f"headers: {{Authorization: {SECRET}}}"), 11, "secret://env/NAME", hides=SECRET),
    pipeline_case("password-in-url", "a password in a URL", changed("{table: raw.target}", f"{{table: raw.target, url: 'postgresql://me:{SECRET}@db/x'}}"), 13, "the URL holds a password", hides=SECRET),
    pipeline_case("secret-unset", "a secret in a variable that is not set", changed("{table: raw.target}", "{table: raw.target, url: secret://env/NO_SUCH_THING}"), None, "NO_SUCH_THING is not set"),
    pipeline_case("secret-no-file", "a secret in a file that is not there", changed("{table: raw.target}", "{table: raw.target, url: secret://file/no/such}"), None, "cannot be read"),
    pipeline_case("secret-provider", "a secret of an unknown provider", changed("{table: raw.target}", "{table: raw.target, url: secret://vault/x}"), None, "not available yet: secret provider 'vault'", code=1, at=""),
]  # fmt: skip

UNAVAILABLE = [
    pipeline_case(name, what, added(text), None, f"not available yet: {part}", code=1)
    for name, what, text, part in (
        ("encryption", "encrypted columns", "  security: {encryption: [name]}", "security.encryption"),
        ("masking", "masked columns", "  security: {data_masking: [name]}", "security.data_masking"),
        ("access-level", "an access level", "  security: {access_level: restricted}", "security.access_level: restricted"),
    )
]  # fmt: skip

ALERTS = [
    pipeline_case(name, what, added(f"  monitoring: {{alerts: [{text}]}}"), None, says, at="")
    for name, what, text, says in (
        ("alert-channel", "an alert whose channel is not in alerts.yaml", "{type: slack, channel: '#x'}", "needs the channel slack in alerts.yaml"),
        ("alert-webhook", "a webhook whose address is written out", "{type: webhook, url: 'https://example.org/hook'}", "write a reference such as secret://env/NAME"),
        ("alert-when", "an alert with a condition that is none", "{type: slack, when: 'rows_loaded is big'}", "is not a comparison"),
    )
]  # fmt: skip

CASES: list[Case] = [*NOT_YAML, *STRUCTURE, *MEANING, *SECRETS, *UNAVAILABLE, *ALERTS]
