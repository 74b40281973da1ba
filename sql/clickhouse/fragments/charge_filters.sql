-- Conditions: the filters of a cost query over cost_trends or cost_by_resource, without the currency; ClickHouse optimizes empty ones away.
AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, sub_account_id))
AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, region_id))
AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
