-- Superseded generations that retention does not keep and that are not yet recorded as removed. retention.py describes the rule.
-- A publication repeated by a network retry counts once. dateDiff compares days, because subtracting days from a Date gives a date
-- far in the future where the result lies before 1970.
SELECT customer_id, generation, {now:DateTime64(6, 'UTC')} AS removed_at
FROM
(
    SELECT
        customer_id,
        generation,
        published_at,
        leadInFrame(toNullable(published_at)) OVER (
            PARTITION BY customer_id, account_id, billing_period
            ORDER BY generation
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS superseded_at
    FROM
    (
        SELECT customer_id, account_id, billing_period, generation, min(publications.published_at) AS published_at
        FROM publications
        GROUP BY customer_id, account_id, billing_period, generation
    )
)
WHERE superseded_at <= {now:DateTime64(6, 'UTC')} - toIntervalSecond({grace:UInt32})
    AND NOT (
        toDate(published_at) < toDate(superseded_at)
        AND dateDiff('day', toDate(superseded_at), toDate({now:DateTime64(6, 'UTC')})) < {retention_days:UInt32}
    )
    AND generation NOT IN (SELECT generation FROM removed_generations)
