-- Publications of a customer that replaced an earlier one, published in [since, until), newest first, each with the one before it.
-- before_at, before_generation: only publications older than that one. An empty list of accounts or providers accepts all.
SELECT *
FROM
(
    SELECT
        provider,
        account_id,
        billing_period,
        generation,
        published_at,
        lagInFrame(generation) OVER slice AS previous_generation,
        lagInFrame(published_at) OVER slice AS previous_published_at,
        is_removed,
        lagInFrame(is_removed) OVER slice AS previous_is_removed
    FROM
    (
        SELECT provider, account_id, billing_period, generation, published_at, is_removed
        -- include: every_publication
        WHERE (empty({accounts:Array(String)}) OR has({accounts:Array(String)}, account_id))
            AND (empty({providers:Array(String)}) OR has({providers:Array(String)}, provider))
        LIMIT 1 BY generation
    )
    WINDOW slice AS (
        PARTITION BY account_id, billing_period
        ORDER BY generation
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
)
WHERE previous_generation != 0
    AND published_at >= {since:DateTime64(6, 'UTC')}
    AND published_at < {until:DateTime64(6, 'UTC')}
    AND (published_at, generation) < ({before_at:DateTime64(6, 'UTC')}, {before_generation:UInt64})
ORDER BY published_at DESC, generation DESC
LIMIT {first:UInt32}
