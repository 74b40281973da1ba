-- When the snapshots of an account, kind and period were taken, oldest first.
SELECT taken_at
-- include: snapshots_of_period
ORDER BY taken_at
