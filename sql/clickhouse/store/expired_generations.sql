-- Superseded generations that retention does not keep and that are not yet recorded as removed. retention.py describes the rule.
-- A publication repeated by a network retry counts once. An archived one still says when the one before it was superseded.
-- The last end of a day, week or month that a generation saw is the beginning of the one in which it was superseded. dateDiff compares days,
-- because subtracting days from a Date gives a date far in the future where the result lies before 1970.
WITH
    toDate({now:DateTime64(6, 'UTC')}) AS today,
    toDate(published_at) AS first,
    toDate(superseded_at) AS day,
    toMonday(day) AS week,
    toStartOfMonth(day) AS month
SELECT customer_id, generation, {now:DateTime64(6, 'UTC')} AS removed_at
FROM
(
    SELECT
        customer_id,
        generation,
        published_at,
        is_archived,
        leadInFrame(toNullable(published_at)) OVER (
            PARTITION BY customer_id, account_id, billing_period
            ORDER BY generation
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS superseded_at
    FROM
    (
        SELECT
            customer_id,
            account_id,
            billing_period,
            generation,
            min(ever.published_at) AS published_at,
            max(ever.is_archived) AS is_archived
        FROM
        (
            SELECT customer_id, account_id, billing_period, generation, published_at, false AS is_archived FROM publications
            UNION ALL
            SELECT customer_id, account_id, billing_period, generation, published_at, true AS is_archived FROM archived_publications
        ) AS ever
        GROUP BY customer_id, account_id, billing_period, generation
    )
)
WHERE superseded_at <= {now:DateTime64(6, 'UTC')} - toIntervalSecond({grace:UInt32})
    AND NOT (first < day AND dateDiff('day', day, today) < least({daily_days:UInt32}, {retention_days:UInt32}))
    AND NOT (first < week AND dateDiff('day', week, today) < {retention_days:UInt32})
    AND NOT (first < month AND dateDiff('day', month, today) < {retention_days:UInt32})
    AND NOT is_archived
    AND generation NOT IN (SELECT generation FROM removed_generations)
