-- Every publication of every slice of a customer, oldest first in each slice, and whether retention has removed it.
SELECT
    -- include: published_columns,
    is_removed
-- include: every_publication
ORDER BY account_id, billing_period, generation
LIMIT 1 BY account_id, billing_period, generation
