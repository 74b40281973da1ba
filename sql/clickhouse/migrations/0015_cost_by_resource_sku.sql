-- Grain: day x resource x tags x sub account x service x region x charge category, class and frequency x SKU x pricing unit x currency, of one generation. For: causes of anomalies by resource and by a tag of choice. Filled by derived/cost_by_resource_sku.sql.
-- The days of a resource stand together, so that its id and its tags are stored about once a month. '' stands for charges without a resource.
-- pricing_quantity: sum of the quantities that are known, in pricing_unit; pricing_quantity_missing counts line items without one.
-- *_missing count line items without that price, so that a sum over them is not taken for complete.
-- A year in a partition, not a month: each partition that a query opens costs it half a millisecond or more.
CREATE TABLE IF NOT EXISTS cost_by_resource_sku
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
    charge_class LowCardinality(String) CODEC(ZSTD(1)),
    charge_frequency LowCardinality(String) CODEC(ZSTD(1)),
    sku_id LowCardinality(String) CODEC(ZSTD(1)),
    pricing_unit LowCardinality(String) CODEC(ZSTD(1)),
    resource_id String CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), Nullable(String)) CODEC(ZSTD(1)),
    pricing_quantity Decimal(38, 18) CODEC(GCD, ZSTD(1)),
    pricing_quantity_missing UInt64 CODEC(ZSTD(1)),
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
ORDER BY (customer_id, generation, service_name, resource_id, charge_date, sub_account_id, region_id, charge_category, charge_class, charge_frequency, sku_id, pricing_unit, billing_currency)
