-- Grain: one line item, the columns of FOCUS 1.4 under their own names; maps as JSON text. Source: raw_costs.
-- For: /export/line-items with focus=1.4.
-- In the order of the table's key, so that nothing is sorted and the same question gives the same bytes.
SELECT
    allocated_method_details AS AllocatedMethodDetails,
    allocated_method_id AS AllocatedMethodId,
    allocated_resource_id AS AllocatedResourceId,
    allocated_resource_name AS AllocatedResourceName,
    allocated_tags AS AllocatedTags,
    availability_zone AS AvailabilityZone,
    billed_cost AS BilledCost,
    nullIf(raw_costs.billing_account_id, '') AS BillingAccountId,
    billing_account_name AS BillingAccountName,
    billing_account_type AS BillingAccountType,
    billing_currency AS BillingCurrency,
    billing_period_end AS BillingPeriodEnd,
    billing_period_start AS BillingPeriodStart,
    capacity_reservation_id AS CapacityReservationId,
    capacity_reservation_status AS CapacityReservationStatus,
    charge_category AS ChargeCategory,
    charge_class AS ChargeClass,
    charge_description AS ChargeDescription,
    charge_frequency AS ChargeFrequency,
    charge_period_end AS ChargePeriodEnd,
    charge_period_start AS ChargePeriodStart,
    commitment_discount_category AS CommitmentDiscountCategory,
    commitment_discount_id AS CommitmentDiscountId,
    commitment_discount_name AS CommitmentDiscountName,
    commitment_discount_quantity AS CommitmentDiscountQuantity,
    commitment_discount_status AS CommitmentDiscountStatus,
    commitment_discount_type AS CommitmentDiscountType,
    commitment_discount_unit AS CommitmentDiscountUnit,
    commitment_program_eligibility_details AS CommitmentProgramEligibilityDetails,
    consumed_quantity AS ConsumedQuantity,
    consumed_unit AS ConsumedUnit,
    contract_applied AS ContractApplied,
    contracted_cost AS ContractedCost,
    contracted_unit_price AS ContractedUnitPrice,
    effective_cost AS EffectiveCost,
    host_provider_name AS HostProviderName,
    invoice_detail_id AS InvoiceDetailId,
    invoice_id AS InvoiceId,
    nullIf(raw_costs.invoice_issuer_name, '') AS InvoiceIssuerName,
    list_cost AS ListCost,
    list_unit_price AS ListUnitPrice,
    pricing_category AS PricingCategory,
    pricing_currency AS PricingCurrency,
    pricing_currency_contracted_unit_price AS PricingCurrencyContractedUnitPrice,
    pricing_currency_effective_cost AS PricingCurrencyEffectiveCost,
    pricing_currency_list_unit_price AS PricingCurrencyListUnitPrice,
    pricing_quantity AS PricingQuantity,
    pricing_unit AS PricingUnit,
    region_id AS RegionId,
    region_name AS RegionName,
    resource_id AS ResourceId,
    resource_name AS ResourceName,
    resource_type AS ResourceType,
    nullIf(raw_costs.service_category, '') AS ServiceCategory,
    nullIf(raw_costs.service_name, '') AS ServiceName,
    nullIf(raw_costs.service_provider_name, '') AS ServiceProviderName,
    service_subcategory AS ServiceSubcategory,
    sku_id AS SkuId,
    sku_meter AS SkuMeter,
    sku_price_details AS SkuPriceDetails,
    sku_price_id AS SkuPriceId,
    sub_account_id AS SubAccountId,
    sub_account_name AS SubAccountName,
    sub_account_type AS SubAccountType,
    toJSONString(raw_costs.tags) AS Tags
FROM raw_costs
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND billing_period >= {first_period:Date}
    AND billing_period <= {last_period:Date}
    AND raw_costs.charge_period_start >= toDateTime({start:Date}, 'UTC')
    AND raw_costs.charge_period_start < toDateTime({end:Date}, 'UTC')
    AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(raw_costs.sub_account_id, '')))
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, raw_costs.service_name))
    AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(raw_costs.region_id, '')))
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
ORDER BY customer_id, generation, raw_costs.charge_period_start, raw_costs.service_name, line_number
