-- Open collections that do not move on, oldest first: those that began before an instant, and those queued before another one while no
-- collection has ended since.
SELECT
    -- include: history_columns
FROM optiinfra.collection_history
WHERE ended_at IS NULL
    AND (
        started_at < %(started_before)s
        OR (
            started_at IS NULL AND queued_at < %(queued_before)s
            AND NOT EXISTS (SELECT FROM optiinfra.collection_history WHERE ended_at >= %(queued_before)s)
        )
    )
ORDER BY id
LIMIT 50
