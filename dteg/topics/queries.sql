-- What topics ask the warehouse besides the functions of schema.sql.

-- name: topics
SELECT t.id, t.name, t.settings, t.created_at, t.first_offset, t.next_offset, t.bytes,
    (SELECT count(*) FROM _dteg.topic_groups AS g WHERE g.topic_id = t.id),
    (SELECT count(*) FROM _dteg.topic_dead_letters AS d WHERE d.topic_id = t.id AND NOT d.replaying)
FROM _dteg.topics AS t
WHERE t.name > %s ORDER BY t.name LIMIT %s;

-- name: topic
SELECT t.id, t.name, t.settings, t.created_at, t.first_offset, t.next_offset, t.bytes,
    (SELECT count(*) FROM _dteg.topic_groups AS g WHERE g.topic_id = t.id),
    (SELECT count(*) FROM _dteg.topic_dead_letters AS d WHERE d.topic_id = t.id AND NOT d.replaying)
FROM _dteg.topics AS t
WHERE t.name = %s;

-- name: groups
SELECT g.name, g.next_offset, greatest(t.next_offset - greatest(g.next_offset, t.first_offset), 0),
    (SELECT count(*) FROM _dteg.topic_deliveries AS d
     WHERE d.group_id = g.id AND d.lease <> 0 AND d.due_at > clock_timestamp()),
    (SELECT count(*) FROM _dteg.topic_deliveries AS d
     WHERE d.group_id = g.id AND (d.lease = 0 OR d.due_at <= clock_timestamp())),
    (SELECT count(*) FROM _dteg.topic_dead_letters AS d WHERE d.group_id = g.id AND NOT d.replaying),
    g.missed + greatest(t.first_offset - g.next_offset, 0), g.created_at, g.last_seen_at
FROM _dteg.topic_groups AS g INNER JOIN _dteg.topics AS t ON t.id = g.topic_id
WHERE g.topic_id = %s AND (%s = '' OR g.name = %s) ORDER BY g.name;

-- name: read
SELECT "offset", key, headers, payload, published_at FROM _dteg.topic_messages
WHERE topic_id = %s AND "offset" >= %s ORDER BY "offset" LIMIT %s;

-- name: dead_letters
SELECT d."offset", d.key, d.headers, d.payload, d.published_at, d.id, g.name, d.attempts, d.error, d.died_at, d.replaying
FROM _dteg.topic_dead_letters AS d INNER JOIN _dteg.topic_groups AS g ON g.id = d.group_id
WHERE d.topic_id = %s AND (%s = '' OR g.name = %s) AND d.id > %s ORDER BY d.id LIMIT %s;

-- name: replay_dead_letters
WITH chosen AS (
    UPDATE _dteg.topic_dead_letters SET replaying = true
    WHERE group_id = %s AND NOT replaying AND (%s::bigint[] IS NULL OR id = ANY (%s::bigint[]))
    RETURNING id, "offset"
), due AS (
    INSERT INTO _dteg.topic_deliveries (group_id, "offset", attempts, lease, due_at, dead_letter_id)
    SELECT %s, "offset", 0, 0, clock_timestamp(), id FROM chosen
    ON CONFLICT (group_id, "offset") DO UPDATE SET dead_letter_id = excluded.dead_letter_id
)
SELECT count(*), (SELECT topic_id FROM _dteg.topic_groups WHERE id = %s) FROM chosen;

-- name: extend
WITH leased AS (
    UPDATE _dteg.topic_deliveries AS d SET due_at = clock_timestamp() + make_interval(secs => %s)
    FROM unnest(%s::bigint[], %s::bigint[]) AS a (n, lease)
    WHERE d.group_id = %s AND d."offset" = a.n AND d.lease = a.lease RETURNING 1
)
SELECT count(*) FROM leased;

-- name: release
WITH leased AS (
    UPDATE _dteg.topic_deliveries AS d SET lease = 0, attempts = d.attempts - 1, due_at = clock_timestamp()
    FROM unnest(%s::bigint[], %s::bigint[]) AS a (n, lease)
    WHERE d.group_id = %s AND d."offset" = a.n AND d.lease = a.lease RETURNING 1
)
SELECT count(*) FROM leased;

-- name: place_of_time
SELECT min("offset") FROM _dteg.topic_messages WHERE topic_id = %s AND published_at >= %s;

-- name: insert_group
INSERT INTO _dteg.topic_groups (topic_id, name, next_offset) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING;

-- name: find_group
SELECT g.topic_id, g.id FROM _dteg.topic_groups AS g INNER JOIN _dteg.topics AS t ON t.id = g.topic_id
WHERE t.name = %s AND g.name = %s;

-- name: delete_deliveries
DELETE FROM _dteg.topic_deliveries WHERE group_id IN (SELECT id FROM _dteg.topic_groups WHERE topic_id = %s);
