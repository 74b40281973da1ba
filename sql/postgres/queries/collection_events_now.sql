-- The cursor after all events that are certainly visible.
SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1) AS xid, 9223372036854775807 AS id
