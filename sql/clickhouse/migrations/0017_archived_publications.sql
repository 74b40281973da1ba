-- Grain: one publication whose rows retention has removed: who published what and when, its counts, control totals and content hash.
-- Written by garbage collection, which removes it from publications an hour later at the earliest; meanwhile it is in both.
-- The columns of publications in their order, then when it was archived.
CREATE TABLE IF NOT EXISTS archived_publications
(
    customer_id LowCardinality(String),
    provider LowCardinality(String),
    account_id LowCardinality(String),
    billing_period Date,
    generation UInt64,
    published_at DateTime64(6, 'UTC'),
    line_items UInt64,
    currencies Array(String),
    billed_cost Array(Decimal(76, 18)),
    effective_cost Array(Decimal(76, 18)),
    list_cost Array(Decimal(76, 18)),
    contracted_cost Array(Decimal(76, 18)),
    first_charge_date Nullable(Date),
    last_charge_date Nullable(Date),
    content_hash String,
    change_token String,
    sources String,
    rounded_values UInt64,
    rounded_total Decimal(76, 38),
    data_through Nullable(DateTime('UTC')),
    is_final Bool,
    is_simulated Bool,
    run_id String,
    archived_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (customer_id, provider, account_id, billing_period, generation)
