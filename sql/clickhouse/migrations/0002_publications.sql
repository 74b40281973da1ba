-- Grain: one row for each published generation of a slice. Inserting the row is the publication: nothing of a generation is visible before.
-- The newest published_at of a slice is what readers see; `asOf` readers see the newest at that time. Rows are never changed or removed.
-- currencies, billed, effective, list, contracted are parallel arrays: totals of the generation by currency, nulls counted as absent.
CREATE TABLE IF NOT EXISTS publications
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
    run_id String
)
ENGINE = MergeTree
ORDER BY (customer_id, provider, account_id, billing_period, generation)
