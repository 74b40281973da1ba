-- The publication of every slice of a customer that was the newest at an instant (inclusive), and whether retention has removed it.
SELECT
    -- include: published_columns,
    is_removed
-- include: every_publication
WHERE ever.published_at <= {as_of:DateTime64(6, 'UTC')}
ORDER BY account_id, billing_period, generation DESC
LIMIT 1 BY account_id, billing_period
