-- name: tables
-- Tables and views of one database, with the rows the engine estimates.
SELECT table_name, table_rows, table_comment, table_type, avg_row_length
FROM information_schema.tables
WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
ORDER BY table_name

-- name: columns
-- Their columns.
SELECT table_name, column_name, data_type, column_type, is_nullable, numeric_precision, numeric_scale,
    character_maximum_length, datetime_precision, column_default, column_comment, character_set_name
FROM information_schema.columns
WHERE table_schema = %s
ORDER BY table_name, ordinal_position

-- name: keys
-- Columns of unique keys; a column that may be null makes a key that may repeat.
SELECT table_name, index_name, column_name, nullable, sub_part
FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0
ORDER BY table_name, index_name = 'PRIMARY' DESC, index_name, seq_in_index

-- name: foreign_keys
-- References within the database.
SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = %s AND referenced_table_schema = table_schema AND referenced_table_name IS NOT NULL
ORDER BY table_name, constraint_name, ordinal_position
