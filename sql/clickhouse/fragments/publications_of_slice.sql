-- Conditions: publications of one slice.
WHERE customer_id = {customer_id:String}
    AND provider = {provider:String}
    AND account_id = {account_id:String}
    AND billing_period = {billing_period:Date}
