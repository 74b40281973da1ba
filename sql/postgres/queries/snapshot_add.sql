-- Stores a snapshot, unless the newest one has the same body or was not taken before it. Returns a row if it was stored.
WITH newest AS (
    SELECT taken_at, sha256
    -- include: snapshots_of_period
    ORDER BY taken_at DESC
    LIMIT 1
)

INSERT INTO optiinfra.provider_snapshots (account_id, kind, billing_period, taken_at, body)
SELECT %(account_id)s, %(kind)s, %(billing_period)s, given.taken_at, given.body
FROM (SELECT %(taken_at)s::timestamptz AS taken_at, %(body)s::bytea AS body) AS given
WHERE NOT EXISTS (
    SELECT FROM newest WHERE newest.taken_at >= given.taken_at OR newest.sha256 = sha256(given.body)
)
RETURNING taken_at
