-- A collection of one slice ended well. Without a generation it published nothing: only the check moves.
INSERT INTO optiinfra.slice_state (account_id, billing_period, collected_token, checked_at, generation, published_at)
VALUES (%(account_id)s, %(billing_period)s, %(token)s, %(at)s, %(generation)s, %(published_at)s)
ON CONFLICT (account_id, billing_period) DO UPDATE
SET collected_token = excluded.collected_token,
    checked_at = excluded.checked_at,
    generation = coalesce(excluded.generation, slice_state.generation),
    published_at = coalesce(excluded.published_at, slice_state.published_at)
