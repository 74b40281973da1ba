-- Grain: day x service x currency, of one generation. For: trends by service. Filled by derived/cost_by_service.sql.
-- *_missing count line items without that price, so that a sum over them is not taken for complete.
-- A year in a partition, not a month: each partition that a query opens costs it half a millisecond or more.
CREATE TABLE IF NOT EXISTS cost_by_service
(
    customer_id LowCardinality(String) CODEC(ZSTD(1)),
    provider LowCardinality(String) CODEC(ZSTD(1)),
    account_id LowCardinality(String) CODEC(ZSTD(1)),
    generation UInt64 CODEC(Delta(8), ZSTD(1)),
    billing_period Date CODEC(Delta(2), ZSTD(1)),
    charge_date Date CODEC(Delta(2), ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    billing_currency LowCardinality(String) CODEC(ZSTD(1)),
    billed_cost Decimal(38, 18) CODEC(GCD, ZSTD(1)),
    effective_cost Decimal(38, 18) CODEC(GCD, ZSTD(1)),
    list_cost Decimal(38, 18) CODEC(GCD, ZSTD(1)),
    contracted_cost Decimal(38, 18) CODEC(GCD, ZSTD(1)),
    list_cost_missing UInt64 CODEC(ZSTD(1)),
    contracted_cost_missing UInt64 CODEC(ZSTD(1)),
    line_items UInt64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYear(billing_period)
ORDER BY (customer_id, generation, charge_date, service_name, billing_currency)
