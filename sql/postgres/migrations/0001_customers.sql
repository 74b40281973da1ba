-- Grain: one customer (tenant). Every account, token and row of cost data belongs to exactly one.
CREATE TABLE optiinfra.customers (
    customer_id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
