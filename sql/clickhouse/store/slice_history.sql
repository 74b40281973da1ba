-- Publications of one slice, newest first, with when each was superseded (null: readers see it now) and whether retention removed its rows.
-- before: only generations with a lower number; 0: from the newest.
SELECT *
FROM
(
    SELECT
        -- include: publication_columns,
        leadInFrame(toNullable(published_at)) OVER (
            ORDER BY generation ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS superseded_at,
        is_removed
    FROM
    (
        SELECT *
        -- include: every_publication
        -- include: publications_of_slice
        LIMIT 1 BY generation
    )
)
WHERE {before:UInt64} = 0 OR generation < {before:UInt64}
ORDER BY generation DESC
LIMIT {first:UInt32}
