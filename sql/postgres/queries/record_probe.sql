-- Records the probe of one account: a token for each period that the source has, the empty token for periods that it had before.
-- Returns one row: the number of periods whose token changed.
WITH seen AS (
    SELECT period, token
    FROM unnest(%(periods)s::text[], %(tokens)s::text[]) AS one (period, token)
    UNION ALL
    SELECT billing_period, %(gone)s
    FROM optiinfra.slice_state
    WHERE account_id = %(account_id)s AND seen_token IS NOT NULL AND billing_period <> ALL (%(periods)s::text[])
), changed AS (
    SELECT count(*) AS periods
    FROM seen
    LEFT JOIN optiinfra.slice_state AS known ON known.account_id = %(account_id)s AND known.billing_period = seen.period
    WHERE known.seen_token IS DISTINCT FROM seen.token
), stored AS (
    INSERT INTO optiinfra.slice_state (account_id, billing_period, seen_token, seen_at)
    SELECT %(account_id)s, period, token, %(at)s FROM seen
    ON CONFLICT (account_id, billing_period) DO UPDATE SET seen_token = excluded.seen_token, seen_at = excluded.seen_at
), probed AS (
    UPDATE optiinfra.accounts
    SET last_probe_at = %(at)s,
        last_change_at = CASE WHEN changed.periods > 0 THEN %(at)s ELSE last_change_at END,
        last_error = NULL,
        last_error_since = NULL
    FROM changed
    WHERE account_id = %(account_id)s
)
SELECT periods AS changed FROM changed
