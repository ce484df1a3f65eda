-- Statements of datasets. %(name)s is a bound value.

-- name: roles
-- For whom each dataset is.
SELECT slug, spec::jsonb -> 'roles' FROM _dteg.datasets ORDER BY slug;

-- name: datasets
-- All datasets, or one, with their live and last generations.
SELECT
    d.slug, d.spec, d.origin, d.file, d.broken, d.revision, d.columns, d.saved_at, d.saved_by,
    (SELECT coalesce(json_agg(json_build_object('kind', p.kind, 'name', p.name) ORDER BY p.kind, p.name), '[]')
        FROM _dteg.dataset_dependencies AS p WHERE p.dataset = d.slug) AS depends_on,
    to_json(live) AS live,
    coalesce(c.relispopulated, false) AS live_is_there,
    to_json(last) AS last
FROM _dteg.datasets AS d
LEFT JOIN _dteg.dataset_generations AS live ON live.dataset = d.slug AND live.n = d.live_n
LEFT JOIN pg_class AS c ON c.oid = to_regclass(live.relation)
LEFT JOIN LATERAL (
    SELECT * FROM _dteg.dataset_generations AS g WHERE g.dataset = d.slug ORDER BY g.n DESC LIMIT 1
) AS last ON true
WHERE %(slug)s::text IS NULL OR d.slug = %(slug)s
ORDER BY d.slug

-- name: slugs
SELECT slug FROM _dteg.datasets ORDER BY slug

-- name: generations
SELECT to_json(g) FROM _dteg.dataset_generations AS g
WHERE g.dataset = %(slug)s AND (%(n)s::integer IS NULL OR g.n = %(n)s)
ORDER BY g.n DESC LIMIT %(limit)s

-- name: of_run
SELECT to_json(g) FROM _dteg.dataset_generations AS g WHERE g.run_id = %(run_id)s ORDER BY g.started_at DESC LIMIT 1

-- name: being_refreshed
-- Which of some datasets somebody refreshes now: whoever does holds the lock of `lock`.
SELECT s.slug FROM unnest(%(slugs)s::text[]) AS s (slug)
WHERE EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('dteg dataset ' || s.slug, 0)
)

-- name: lock
SELECT pg_try_advisory_lock(hashtextextended('dteg dataset ' || %(slug)s, 0))

-- name: save
INSERT INTO _dteg.datasets AS d (slug, spec, spec_hash, origin, file, compiled_sql, columns, saved_by)
VALUES (%(slug)s, %(spec)s::json, %(hash)s, %(origin)s, %(file)s, %(sql)s, %(columns)s::json, %(who)s)
ON CONFLICT (slug) DO UPDATE SET
    spec = excluded.spec, spec_hash = excluded.spec_hash, origin = excluded.origin, file = excluded.file, broken = '',
    compiled_sql = excluded.compiled_sql, columns = excluded.columns,
    revision = d.revision + (d.spec_hash <> excluded.spec_hash)::integer,
    saved_at = CASE WHEN d.spec_hash <> excluded.spec_hash THEN now() ELSE d.saved_at END,
    saved_by = CASE WHEN d.spec_hash <> excluded.spec_hash THEN excluded.saved_by ELSE d.saved_by END

-- name: revision
SELECT revision FROM _dteg.datasets WHERE slug = %(slug)s FOR UPDATE

-- name: forget_dependencies
DELETE FROM _dteg.dataset_dependencies WHERE dataset = %(slug)s

-- name: add_dependency
INSERT INTO _dteg.dataset_dependencies (dataset, kind, name) VALUES (%(slug)s, %(kind)s, %(name)s)
ON CONFLICT DO NOTHING

-- name: compiled
UPDATE _dteg.datasets SET broken = '', compiled_sql = %(sql)s, columns = %(columns)s::json WHERE slug = %(slug)s

-- name: broken
UPDATE _dteg.datasets SET broken = %(why)s WHERE slug = %(slug)s

-- name: delete
DELETE FROM _dteg.datasets WHERE slug = %(slug)s

-- name: dependents
-- Datasets that read something.
SELECT DISTINCT dataset FROM _dteg.dataset_dependencies
WHERE
    (kind = 'dataset' AND name = %(dataset)s)
    OR (kind = 'dictionary' AND name = %(dictionary)s)
    OR (
        kind = 'source_table' AND split_part(name, '/', 1) = %(source)s
        AND (%(table)s = '' OR substr(name, strpos(name, '/') + 1) = %(table)s)
    )
ORDER BY dataset

-- name: reads
-- The datasets that a dataset reads, and those that they read, and so on.
WITH RECURSIVE reads AS (
    SELECT unnest(%(names)s::text[]) AS name
    UNION
    SELECT p.name FROM reads AS r INNER JOIN _dteg.dataset_dependencies AS p ON p.dataset = r.name AND p.kind = 'dataset'
)
SELECT name FROM reads

-- name: data_as_of
-- How old the oldest of some datasets is.
SELECT min(g.data_as_of)
FROM _dteg.datasets AS d INNER JOIN _dteg.dataset_generations AS g ON g.dataset = d.slug AND g.n = d.live_n
WHERE d.slug = ANY(%(names)s)

-- name: begin
WITH counted AS (
    UPDATE _dteg.datasets SET last_n = last_n + 1 WHERE slug = %(slug)s RETURNING last_n, revision
)
INSERT INTO _dteg.dataset_generations (dataset, n, relation, status, revision, run_id)
SELECT %(slug)s, last_n, format('ds_cache.%%I', %(slug)s || '__g' || last_n), 'building', revision, %(run_id)s
FROM counted
RETURNING n

-- name: forget_old
-- What failed or was dropped long ago tells nobody anything.
DELETE FROM _dteg.dataset_generations
WHERE dataset = %(slug)s AND status IN ('failed', 'dropped') AND n <= %(n)s - 200

-- name: built
UPDATE _dteg.dataset_generations SET
    status = 'built', finished_at = clock_timestamp(), seconds = %(seconds)s, rows = %(rows)s, bytes = %(bytes)s,
    data_as_of = %(data_as_of)s, columns = %(columns)s::json, compiled_sql = %(sql)s
WHERE dataset = %(slug)s AND n = %(n)s

-- name: checked
UPDATE _dteg.dataset_generations SET
    status = CASE WHEN %(error)s = '' THEN 'checked' ELSE 'failed' END, error = %(error)s, checks = %(checks)s::json,
    seconds = seconds + %(seconds)s, finished_at = clock_timestamp()
WHERE dataset = %(slug)s AND n = %(n)s AND status IN ('built', 'checked')

-- name: failed
UPDATE _dteg.dataset_generations SET
    status = 'failed', error = %(error)s, finished_at = clock_timestamp(),
    seconds = extract(epoch FROM clock_timestamp() - started_at)
WHERE dataset = %(slug)s AND n = %(n)s AND status IN ('building', 'built', 'checked')

-- name: own_row
-- Who publishes holds this row: two swaps of one dataset follow each other.
SELECT live_n FROM _dteg.datasets WHERE slug = %(slug)s FOR UPDATE

-- name: status
SELECT status FROM _dteg.dataset_generations WHERE dataset = %(slug)s AND n = %(n)s FOR UPDATE

-- name: publish
WITH retired AS (
    UPDATE _dteg.dataset_generations SET status = 'retired' WHERE dataset = %(slug)s AND status = 'live' AND n <> %(n)s
), live AS (
    UPDATE _dteg.dataset_generations SET status = 'live', published_at = clock_timestamp()
    WHERE dataset = %(slug)s AND n = %(n)s
)
UPDATE _dteg.datasets SET live_n = %(n)s WHERE slug = %(slug)s

-- name: before_live
-- The generation that was live before the one that is.
SELECT n FROM _dteg.dataset_generations
WHERE dataset = %(slug)s AND status = 'retired' ORDER BY published_at DESC LIMIT 1

-- name: too_many
-- Generations beyond those that are kept, the longest unseen last.
SELECT n FROM _dteg.dataset_generations
WHERE dataset = %(slug)s AND status = 'retired' ORDER BY published_at DESC OFFSET %(keep)s

-- name: dropped
UPDATE _dteg.dataset_generations SET
    status = CASE WHEN status = 'failed' THEN status ELSE 'dropped' END,
    error = CASE WHEN status = 'retired' THEN '' ELSE error END
WHERE dataset = %(slug)s AND n = %(n)s

-- name: not_dropped
UPDATE _dteg.dataset_generations SET error = %(error)s WHERE dataset = %(slug)s AND n = %(n)s

-- name: abandoned
-- Builds of a dataset whose lock we hold, so that nobody works on them.
UPDATE _dteg.dataset_generations SET
    status = 'failed', finished_at = clock_timestamp(), error = %(error)s
WHERE dataset = %(slug)s AND status = 'building'

-- name: left_over
-- Relations of a dataset in ds_cache, with what is known of their generations.
SELECT r.n, g.status
FROM (
    SELECT DISTINCT (regexp_match(c.relname, '^' || %(slug)s || '__g([0-9]{1,9})(__q)?$'))[1]::integer AS n
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('ds_cache') AND c.relkind IN ('m', 'v')
        AND c.relname ~ ('^' || %(slug)s || '__g[0-9]{1,9}(__q)?$')
) AS r
LEFT JOIN _dteg.dataset_generations AS g ON g.dataset = %(slug)s AND g.n = r.n
WHERE coalesce(g.status, 'dropped') NOT IN ('live', 'retired')
ORDER BY r.n

-- name: last_claims
SELECT what, max(slot) FROM _dteg.dataset_claims WHERE dataset = %(slug)s GROUP BY what

-- name: claim
INSERT INTO _dteg.dataset_claims (dataset, slot, what, claimed_by)
SELECT slug, %(slot)s, %(what)s, %(by)s FROM _dteg.datasets WHERE slug = %(slug)s
ON CONFLICT DO NOTHING

-- name: forget_claims
DELETE FROM _dteg.dataset_claims AS c
WHERE c.dataset = %(slug)s AND c.slot < now() - interval '60 days'
    AND c.slot < (SELECT max(l.slot) FROM _dteg.dataset_claims AS l WHERE l.dataset = c.dataset AND l.what = c.what)
