-- What the reader and the service ask the warehouse.

-- name: listeners
SELECT database, installation, mode, state, message, truncate_tables, keeps_text, listened_at, looked_at, snapshot_at,
    cursor::text AS cursor_text, failures, horizon_age_s, blocker
FROM _dteg.schema_listeners ORDER BY database;

-- name: add_listener
INSERT INTO _dteg.schema_listeners (database, installation, mode, truncate_tables, keeps_text, snapshot_at)
VALUES (%(database)s, %(installation)s, %(mode)s, %(truncate)s, %(keeps_text)s, clock_timestamp())
ON CONFLICT (database) DO UPDATE SET
    installation = excluded.installation, mode = excluded.mode, truncate_tables = excluded.truncate_tables,
    keeps_text = excluded.keeps_text, state = 'on', message = '',
    -- A new installation begins with an empty outbox, an old one goes on.
    cursor = CASE WHEN schema_listeners.installation = excluded.installation THEN schema_listeners.cursor ELSE '0' END,
    failures = CASE WHEN schema_listeners.installation = excluded.installation THEN schema_listeners.failures ELSE 0 END;

-- name: remove_listener
DELETE FROM _dteg.schema_listeners WHERE database = %(database)s RETURNING installation;

-- name: forget_delivered
DELETE FROM _dteg.schema_delivered WHERE installation = %(installation)s;

-- name: forget_images
DELETE FROM _dteg.schema_images WHERE database = %(database)s;

-- name: has_images
SELECT EXISTS (SELECT FROM _dteg.schema_images WHERE database = %(database)s);

-- name: set_state
UPDATE _dteg.schema_listeners SET state = %(state)s, message = %(message)s
WHERE database = %(database)s AND (state, message) IS DISTINCT FROM (%(state)s, %(message)s)
RETURNING 1;

-- name: set_position
UPDATE _dteg.schema_listeners SET
    cursor = greatest(cursor, %(cursor)s::text::xid8), looked_at = clock_timestamp(),
    snapshot_at = CASE WHEN %(snapshot)s THEN clock_timestamp() ELSE snapshot_at END
WHERE database = %(database)s;

-- name: set_failures
UPDATE _dteg.schema_listeners SET failures = %(failures)s WHERE database = %(database)s;

-- name: set_horizon
UPDATE _dteg.schema_listeners SET horizon_age_s = %(age_s)s, blocker = %(blocker)s
WHERE blocker IS DISTINCT FROM %(blocker)s OR abs(horizon_age_s - %(age_s)s) > 5;

-- name: delivered
SELECT event FROM _dteg.schema_delivered WHERE installation = %(installation)s;

-- name: deliver
INSERT INTO _dteg.schema_delivered (installation, event, xid) VALUES (%(installation)s, %(event)s, %(xid)s::text::xid8);

-- name: drop_delivered
DELETE FROM _dteg.schema_delivered WHERE installation = %(installation)s AND xid < %(cursor)s::text::xid8;

-- name: reserve
SELECT nextval(pg_get_serial_sequence('_dteg.schema_changes', 'id')) FROM generate_series(1, %(count)s);

-- name: save_change
INSERT INTO _dteg.schema_changes OVERRIDING SYSTEM VALUE
SELECT
    %(id)s, %(database)s, %(installation)s, %(event)s, %(xid)s::text::xid8, %(at)s, %(noticed_at)s, %(found_by)s,
    %(routine)s, %(who)s, %(role)s, %(application)s, %(client)s, %(command)s, %(kind)s, %(schema)s, %(object)s,
    %(relation)s, %(table)s, %(renamed_from)s, %(columns)s, %(before)s, %(after)s, %(ddl)s, %(breaks)s;

-- name: images_of
SELECT class, object, kind, schema, name, image FROM _dteg.schema_images
WHERE database = %(database)s AND (
    object = ANY(%(objects)s::oid[]) OR (schema, name) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[])));

-- name: images_with_index
SELECT class, object, kind, schema, name, image FROM _dteg.schema_images
WHERE database = %(database)s AND schema = ANY(%(schemas)s::text[]) AND image -> 'indexes' ?| %(names)s::text[];

-- name: digests
SELECT class, object, digest FROM _dteg.schema_images WHERE database = %(database)s;

-- name: all_images
SELECT class, object, kind, schema, name, image FROM _dteg.schema_images WHERE database = %(database)s;

-- name: save_image
INSERT INTO _dteg.schema_images (database, class, object, kind, schema, name, image)
VALUES (%(database)s, %(class)s, %(object)s, %(kind)s, %(schema)s, %(name)s, %(image)s)
ON CONFLICT (database, class, object) DO UPDATE SET
    kind = excluded.kind, schema = excluded.schema, name = excluded.name, image = excluded.image;

-- name: drop_image
DELETE FROM _dteg.schema_images WHERE database = %(database)s AND class = %(class)s AND object = %(object)s;

-- name: table_image
SELECT image FROM _dteg.schema_images
WHERE database = %(database)s AND schema = %(schema)s AND name = %(name)s AND image ? 'columns' AND image ? 'indexes';

-- name: open_breaks
SELECT id, database, "table", "column", expected, kind, name, file, why, change, since, mended_at, mended_by
FROM _dteg.schema_breaks WHERE mended_at IS NULL ORDER BY id;

-- name: breaks
SELECT id, database, "table", "column", expected, kind, name, file, why, change, since, mended_at, mended_by
FROM _dteg.schema_breaks WHERE mended_at IS NULL OR %(all)s ORDER BY mended_at IS NOT NULL, id DESC LIMIT %(limit)s;

-- name: save_break
INSERT INTO _dteg.schema_breaks (database, "table", "column", expected, kind, name, file, why, change, since)
VALUES (%(database)s, %(table)s, %(column)s, %(expected)s, %(kind)s, %(name)s, %(file)s, %(why)s, %(change)s, %(since)s)
ON CONFLICT DO NOTHING RETURNING id;

-- name: mend
UPDATE _dteg.schema_breaks SET mended_at = clock_timestamp(), mended_by = %(by)s
WHERE id = %(id)s AND mended_at IS NULL
RETURNING id, database, "table", "column", expected, kind, name, file, why, change, since, mended_at, mended_by;

-- name: loaded_since
SELECT EXISTS (
    SELECT FROM _dteg.loads WHERE pipeline = %(pipeline)s AND committed_at > %(since)s);

-- name: changes
SELECT {columns} FROM _dteg.schema_changes AS c
WHERE (%(before)s::bigint IS NULL OR c.id < %(before)s)
    AND (%(database)s::text IS NULL OR c.database = %(database)s)
    AND (%(kind)s::text IS NULL OR c.kind = %(kind)s)
    AND (%(who)s::text IS NULL OR c.who = %(who)s)
    AND (%(found_by)s::text IS NULL OR c.found_by = %(found_by)s)
    AND (%(since)s::timestamptz IS NULL OR c.at >= %(since)s)
    AND (NOT %(breaking)s OR c.breaks <> '[]')
    AND (%(routine)s OR NOT c.routine)
    -- Also under earlier and later names: all changes of the tables that ever had this one.
    AND (%(table)s::text IS NULL OR c."table" = %(table)s OR (c.database, c.relation) IN (
        SELECT o.database, o.relation FROM _dteg.schema_changes AS o
        WHERE (o."table" = %(table)s OR o.renamed_from = %(table)s) AND o.relation IS NOT NULL))
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: changes_after
SELECT {columns} FROM _dteg.schema_changes AS c
WHERE c.id > %(after)s AND (%(routine)s OR NOT c.routine) ORDER BY c.id LIMIT %(limit)s;

-- name: change
SELECT {columns} FROM _dteg.schema_changes AS c WHERE c.id = %(id)s;

-- name: columns
c.id, c.xid::text AS xid_text, c.database, c.at, c.noticed_at, c.found_by, c.routine, c.who, c.role, c.application,
c.client, c.command, c.kind, c.schema, c.object, c."table", c.renamed_from, c.columns, c.before, c.after, c.ddl, c.breaks

-- name: last_id
SELECT coalesce(max(id), 0) FROM _dteg.schema_changes;

-- name: prune
DELETE FROM _dteg.schema_changes WHERE at < now() - make_interval(secs => %(keep_s)s);

-- name: prune_breaks
DELETE FROM _dteg.schema_breaks WHERE mended_at < now() - make_interval(secs => %(keep_s)s);
