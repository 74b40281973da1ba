-- Records probes of some accounts: a token for each period that a source has, the empty token for periods that it had before.
-- seen_at stays while the token stays: it says since when a change has been waiting.
-- Locks accounts before their slices, in the same order as those who change an account and then store its tokens.
WITH held AS MATERIALIZED (
    SELECT account_id
    FROM optiinfra.accounts
    WHERE account_id = ANY (%(account_ids)s::text[])
    ORDER BY account_id
    FOR NO KEY UPDATE
), shown AS (
    SELECT account_id, billing_period, token
    FROM unnest(%(accounts)s::text[], %(periods)s::text[], %(tokens)s::text[]) AS one (account_id, billing_period, token)
    JOIN held USING (account_id)
), seen AS (
    SELECT account_id, billing_period, token FROM shown
    UNION ALL
    SELECT known.account_id, known.billing_period, %(gone)s
    FROM optiinfra.slice_state AS known
    LEFT JOIN shown USING (account_id, billing_period)
    WHERE known.account_id IN (SELECT account_id FROM held) AND known.seen_token IS NOT NULL AND shown.token IS NULL
), stored AS (
    INSERT INTO optiinfra.slice_state (account_id, billing_period, seen_token, seen_at)
    SELECT account_id, billing_period, token, %(at)s FROM seen
    ON CONFLICT (account_id, billing_period) DO UPDATE
    SET seen_token = excluded.seen_token, seen_at = excluded.seen_at
    WHERE slice_state.seen_token IS DISTINCT FROM excluded.seen_token
    RETURNING account_id
)
UPDATE optiinfra.accounts
SET last_probe_at = %(at)s,
    last_change_at = CASE WHEN account_id IN (SELECT account_id FROM stored) THEN %(at)s ELSE last_change_at END,
    last_error = NULL,
    last_error_since = NULL
WHERE account_id = ANY (%(account_ids)s::text[])
