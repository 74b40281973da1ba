-- Grain: day x resource x service x region x sub account x charge category x currency, of one generation. For: resources in another currency, whose rates differ by day. Filled by derived/cost_by_resource_day.sql.
-- Resource comes early in the key, so that those of one page are found without reading the others. '' stands for charges without a resource.
-- Few rows in a mark, because a page asks for a hundred of thousands of resources; LZ4, because their ids are what such a query reads.
-- *_missing count line items without that price, so that a sum over them is not taken for complete.
-- A year in a partition, not a month: each partition that a query opens costs it half a millisecond or more.
CREATE TABLE IF NOT EXISTS cost_by_resource_day
(
    customer_id LowCardinality(String) CODEC(ZSTD(1)),
    provider LowCardinality(String) CODEC(ZSTD(1)),
    account_id LowCardinality(String) CODEC(ZSTD(1)),
    generation UInt64 CODEC(Delta(8), ZSTD(1)),
    billing_period Date CODEC(Delta(2), ZSTD(1)),
    charge_date Date CODEC(Delta(2), ZSTD(1)),
    sub_account_id LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    region_id LowCardinality(String) CODEC(ZSTD(1)),
    charge_category LowCardinality(String) CODEC(ZSTD(1)),
    resource_id String CODEC(LZ4),
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
ORDER BY (customer_id, generation, resource_id, charge_date, sub_account_id, service_name, region_id, charge_category, billing_currency)
SETTINGS index_granularity = 1024
