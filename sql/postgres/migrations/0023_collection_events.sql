-- Grain: one change in how a collection stands. Written by the database itself, so that no way of changing the history misses one.
-- xid orders events as they became visible: a reader that stops below the oldest transaction under way never passes one by.
CREATE TABLE optiinfra.collection_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    customer_id text NOT NULL,
    task_id text NOT NULL,
    collection_id bigint NOT NULL,
    provider text NOT NULL,
    account_id text NOT NULL,
    billing_period text NOT NULL,
    trigger text NOT NULL,
    status text NOT NULL,
    attempt integer NOT NULL,
    generation bigint,
    rows bigint,
    error text,
    run_id text
)
