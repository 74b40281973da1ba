-- Grain: one slice of one collection task. Task: everything one trigger asked for. Never removed.
CREATE TABLE optiinfra.collection_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id text NOT NULL,
    trigger text NOT NULL CHECK (trigger IN ('schedule', 'backfill', 'api', 'cli', 'ui', 'retry')),
    customer_id text NOT NULL,
    provider text NOT NULL,
    account_id text NOT NULL,
    billing_period text NOT NULL,
    run_id text,
    queued_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'retrying', 'succeeded', 'unchanged', 'failed', 'canceled')),
    attempt integer NOT NULL DEFAULT 1,
    generation bigint,
    rows bigint,
    requests bigint NOT NULL DEFAULT 0,
    request_cost numeric NOT NULL DEFAULT 0,
    error text,
    UNIQUE (task_id, account_id, billing_period)
)
