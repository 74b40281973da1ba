-- Deletes snapshots taken before an instant on which no charge depends: all but the first of each UTC day, and the newest, of their account,
-- kind and period (providers/running_totals/readings.py says why).
DELETE FROM optiinfra.provider_snapshots
WHERE taken_at < %(before)s AND (account_id, kind, billing_period, taken_at) IN (
    SELECT account_id, kind, billing_period, taken_at
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY account_id, kind, billing_period, (taken_at AT TIME ZONE 'UTC')::date
                ORDER BY taken_at ASC
            ) AS of_day,
            row_number() OVER (PARTITION BY account_id, kind, billing_period ORDER BY taken_at DESC) AS from_newest
        FROM optiinfra.provider_snapshots
    ) AS ranked
    WHERE of_day > 1 AND from_newest > 1
)
RETURNING taken_at
