-- Snapshots of an account, kind and period, oldest first: those taken at the given instants, or all if null.
SELECT taken_at, body
-- include: snapshots_of_period
    AND (%(taken)s::timestamptz [] IS NULL OR taken_at = ANY(%(taken)s::timestamptz []))
ORDER BY taken_at
