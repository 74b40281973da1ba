-- Condition: charges in some currencies; an empty list accepts all, and ClickHouse optimizes it away.
AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
