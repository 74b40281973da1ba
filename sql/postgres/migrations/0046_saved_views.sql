-- Grain: one view of costs that somebody named: the address of a page. It belongs to the customer; its author and administrators change it.
-- author: the id of the token that saved it, which it outlives, so without a reference; author_name: what the token was called.
CREATE TABLE optiinfra.saved_views (
    view_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    name text NOT NULL,
    path text NOT NULL,
    author text NOT NULL,
    author_name text NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (customer_id, name)
)
