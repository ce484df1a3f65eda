"""What datasets are meant to reach on two cores, servers included."""

from benchmarks.registry.targets import Target

# 1 stands for yes.
TARGETS = (
    Target("link", "seconds", 2.0, True, "link a PostgreSQL source of 50 tables, s"),
    Target("link", "linked", 50, False, "of them linked, beside one table that cannot be read"),
    Target("types", "columns", 30, False, "types of MariaDB in one table"),
    Target("types", "silent", 0, True, "of them neither readable nor reported"),
    Target("types", "wrong", 0, True, "of them with other values than MariaDB says"),
    Target("types", "whole_failures", 0, True, "tables lost because of one column"),
    Target("compile", "p95_ms", 20, True, "compile a definition, p95, ms"),
    Target("join", "tuned_s", 2.0, True, "join of 1M rows here with 1M rows elsewhere, grouped, s"),
    Target("join", "times_as_fast", 3.0, False, "the same beside a plain foreign table, times as fast"),
    Target("join", "refresh_s", 4.0, True, "refresh of 1M rows of 6 columns with index, checks and swap, s"),
    Target("readers", "refresh_added_ms", 50, True, "readers during a refresh, added at p95, ms"),
    Target("readers", "swap_longest_ms", 20, True, "longest read while copies are swapped, ms"),
    Target("readers", "stopped_added_ms", 50, True, "readers while the source is stopped, added at p95, ms"),
    Target("readers", "frozen_added_ms", 50, True, "readers while the source is frozen, added at p95, ms"),
    Target("readers", "errors", 0, True, "errors of readers in all of it"),
    Target("frozen_postgres", "over_deadline_s", 2.0, True, "PostgreSQL freezes within a refresh: end after the deadline, s"),
    Target("frozen_postgres", "backends_left", 0, True, "sessions left of it"),
    Target("frozen_mariadb", "over_deadline_s", 2.0, True, "MariaDB freezes within a refresh: end after the deadline, s"),
    Target("frozen_mariadb", "backends_left", 0, True, "sessions left of it"),
    Target("stopped", "postgres_s", 1.0, True, "refresh from a stopped PostgreSQL: failure, s"),
    Target("stopped", "mariadb_s", 1.0, True, "refresh from a stopped MariaDB: failure, s"),
    Target("stopped", "served", 1, False, "the rows of before are served, and their age is told"),
    Target("snapshot", "milliseconds", 100, True, "snapshot of 100 series, ms"),
    Target("snapshot", "bytes_a_point", 200, True, "bytes of one point, indexes included"),
    Target("snapshot", "written_again", 0, True, "points that a repeated snapshot writes"),
    Target("dashboard", "ready_s", 2.5, True, "dashboard of 6 charts in Chromium, cold, until drawn, s"),
    Target("dashboard", "js_kb", 900, True, "its JavaScript, kB"),
    Target("dashboard", "elsewhere", 0, True, "requests to other machines"),
    Target("dashboard", "unsafe_eval", 0, True, "policy that allows eval"),
    Target("round_trip", "differ", 0, True, "definitions whose export differs after an import into an empty hub"),
)  # fmt: skip
