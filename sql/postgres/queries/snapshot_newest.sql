-- The newest snapshot of an account, kind and period.
SELECT taken_at, body
-- include: snapshots_of_period
ORDER BY taken_at DESC
LIMIT 1
