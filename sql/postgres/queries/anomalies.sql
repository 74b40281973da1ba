-- Anomalies as they were at an instant with what was said of them last, the latest first.
-- after_day, after_id: last day and id of the one that they come after. What is null or empty is not looked at.
WITH newest AS (
    SELECT DISTINCT ON (anomaly_id) *
    FROM optiinfra.anomaly_versions
    WHERE
        anomaly_versions.customer_id = %(customer_id)s
        AND made_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        AND (%(anomaly_id)s::text IS NULL OR anomaly_id = %(anomaly_id)s)
    ORDER BY anomaly_id, made_at DESC
),

told AS (
    SELECT DISTINCT ON (anomaly_id) anomaly_id, set_at, state, until_day, up_to, note, author, author_name, from_day
    FROM optiinfra.anomaly_states
    WHERE anomaly_states.customer_id = %(customer_id)s AND set_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
    ORDER BY anomaly_id, set_at DESC
)

SELECT
    newest.*, told.set_at, told.state, told.until_day, told.up_to, told.note, told.author, told.author_name, told.from_day
FROM newest LEFT JOIN told USING (anomaly_id)
WHERE
    (%(is_gone)s OR NOT newest.is_gone)
    AND (%(is_folded)s OR newest.folded_into IS NULL)
    AND (cardinality(%(providers)s::text[]) = 0 OR newest.provider = ANY(%(providers)s))
    AND (cardinality(%(accounts)s::text[]) = 0 OR newest.account_id = ANY(%(accounts)s))
    AND (cardinality(%(services)s::text[]) = 0 OR newest.service_name = ANY(%(services)s))
    AND (cardinality(%(kinds)s::text[]) = 0 OR newest.kind = ANY(%(kinds)s))
    AND (cardinality(%(states)s::text[]) = 0 OR coalesce(told.state, 'open') = ANY(%(states)s))
    AND (%(currency)s::text IS NULL OR newest.currency = %(currency)s)
    AND (%(start)s::date IS NULL OR newest.last_day >= %(start)s)
    AND (%(end)s::date IS NULL OR newest.first_day < %(end)s)
    AND (%(least)s::numeric IS NULL OR abs(newest.excess) >= %(least)s)
    AND (
        %(after_day)s::date IS NULL
        OR newest.last_day < %(after_day)s::date
        OR newest.last_day = %(after_day)s::date AND newest.anomaly_id > %(after_id)s
    )
ORDER BY newest.last_day DESC, newest.anomaly_id
LIMIT %(most)s
