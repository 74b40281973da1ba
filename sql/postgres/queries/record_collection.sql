-- A collection of one slice ended well. Without a generation it published nothing: only the check moves.
-- A collection that answers to the token of the gone found nothing there: then that is what was seen. Else a source confirmed to be
-- empty, which no probe can read, would be due for ever; and one that comes back as it was would not be due.
INSERT INTO optiinfra.slice_state (account_id, billing_period, collected_token, checked_at, generation, published_at, reached)
VALUES (%(account_id)s, %(billing_period)s, %(token)s, %(at)s, %(generation)s, %(published_at)s, %(reached)s)
ON CONFLICT (account_id, billing_period) DO UPDATE
SET collected_token = excluded.collected_token,
    seen_token = CASE WHEN excluded.collected_token = '' THEN '' ELSE slice_state.seen_token END,
    checked_at = excluded.checked_at,
    generation = coalesce(excluded.generation, slice_state.generation),
    published_at = coalesce(excluded.published_at, slice_state.published_at),
    reached = excluded.reached
