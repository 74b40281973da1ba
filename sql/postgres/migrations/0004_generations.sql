-- Grain: one attempt to build a generation. Numbers are unique over all slices and only ever grow.
-- An attempt that is neither published nor discarded and whose run is gone left rows that `gc` removes.
CREATE TABLE optiinfra.generations (
    generation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    billing_period text NOT NULL,
    run_id text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'published', 'unchanged', 'discarded'))
)
