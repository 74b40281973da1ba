-- The latest time for which something waits: an account's last probe, a failing slice's last failure, an open collection's begin.
SELECT max(at) AS at
FROM (
    SELECT probe_tried_at AS at FROM optiinfra.accounts WHERE status = 'active'
    UNION ALL
    SELECT failed_at FROM optiinfra.slice_state WHERE is_failing
    UNION ALL
    SELECT coalesce(started_at, queued_at) FROM optiinfra.collection_history WHERE ended_at IS NULL
) AS recorded
