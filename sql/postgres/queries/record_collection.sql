-- Records a successful collection of one slice. Without a generation it published nothing, and only checked_at moves.
-- A collection with the empty token found no data, so the seen token becomes empty too. Otherwise a source confirmed as empty,
-- which no probe can read, would stay due forever; and one that comes back unchanged would not be due.
INSERT INTO optiinfra.slice_state (account_id, billing_period, collected_token, checked_at, generation, published_at, reached, line_items)
VALUES (%(account_id)s, %(billing_period)s, %(token)s, %(at)s, %(generation)s, %(published_at)s, %(reached)s, %(line_items)s)
ON CONFLICT (account_id, billing_period) DO UPDATE
SET collected_token = excluded.collected_token,
    seen_token = CASE WHEN excluded.collected_token = '' THEN '' ELSE slice_state.seen_token END,
    checked_at = excluded.checked_at,
    generation = coalesce(excluded.generation, slice_state.generation),
    published_at = coalesce(excluded.published_at, slice_state.published_at),
    reached = excluded.reached,
    line_items = excluded.line_items,
    error = NULL,
    failures = 0,
    failed_token = NULL,
    retry_at = NULL
