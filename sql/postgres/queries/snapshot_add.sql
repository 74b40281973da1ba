-- Stores a snapshot, unless the newest one has the same body or was not taken before it. Returns a row if it was stored.
-- If a clock that was ahead took the newest one, the snapshot follows it by a microsecond: its time is wrong, and its body is news.
WITH given AS (
    SELECT %(taken_at)s::timestamptz AS taken_at, %(body)s::bytea AS body
), newest AS (
    SELECT taken_at, sha256, taken_at > greatest(now(), %(taken_at)s::timestamptz) + %(skew)s::interval AS is_ahead
    -- include: snapshots_of_period
    ORDER BY taken_at DESC
    LIMIT 1
)

INSERT INTO optiinfra.provider_snapshots (account_id, kind, billing_period, taken_at, body)
SELECT
    %(account_id)s, %(kind)s, %(billing_period)s,
    CASE WHEN newest.is_ahead THEN newest.taken_at + interval '1 microsecond' ELSE given.taken_at END,
    given.body
FROM given
LEFT JOIN newest ON true
WHERE newest.taken_at IS NULL
    OR (newest.sha256 <> sha256(given.body) AND (newest.is_ahead OR newest.taken_at < given.taken_at))
RETURNING taken_at
