-- Conditions: the filters of a cost query over raw_costs, without the tag. An empty filter accepts all; ClickHouse optimizes it away.
-- The table name qualifies the columns, because ClickHouse would take an alias of the same name first.
AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(raw_costs.sub_account_id, '')))
AND (empty({services:Array(String)}) OR has({services:Array(String)}, raw_costs.service_name))
AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(raw_costs.region_id, '')))
AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, raw_costs.charge_category))
AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, raw_costs.billing_currency))
AND (empty({resources:Array(String)}) OR has({resources:Array(String)}, ifNull(raw_costs.resource_id, '')))
AND (empty({pricing_categories:Array(String)}) OR has({pricing_categories:Array(String)}, ifNull(raw_costs.pricing_category, '')))
AND (empty({service_providers:Array(String)}) OR has({service_providers:Array(String)}, raw_costs.service_provider_name))
AND (empty({service_categories:Array(String)}) OR has({service_categories:Array(String)}, raw_costs.service_category))
AND (empty({invoices:Array(String)}) OR has({invoices:Array(String)}, ifNull(raw_costs.invoice_id, '')))
AND (empty({skus:Array(String)}) OR has({skus:Array(String)}, ifNull(raw_costs.sku_id, '')))
AND (empty({commitments:Array(String)}) OR has({commitments:Array(String)}, ifNull(raw_costs.commitment_discount_id, '')))
