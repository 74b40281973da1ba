-- The cursor after everything that is visible for certain.
SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1) AS xid, 9223372036854775807 AS id
