-- The last failure of each slice and of each account's probe; the next success clears it.
-- fault: who has to act, see domain/failures.py. failures: failed collections in a row. failed_since, last_error_since: the first of them.
-- is_failing: the failure stands. It does not if the source went back to what was collected last.
DO $$
BEGIN
    ALTER TABLE optiinfra.slice_state
    ADD COLUMN error text,
    ADD COLUMN fault text,
    ADD COLUMN failed_since timestamptz,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN is_failing boolean NOT NULL GENERATED ALWAYS AS (
        error IS NOT NULL AND (seen_token IS DISTINCT FROM collected_token OR failed_token IS NOT DISTINCT FROM seen_token)
    ) STORED;
    CREATE INDEX slice_state_failing ON optiinfra.slice_state (account_id, billing_period) WHERE is_failing;
    ALTER TABLE optiinfra.accounts
    ADD COLUMN last_error_fault text,
    ADD COLUMN last_error_since timestamptz;
END
$$
