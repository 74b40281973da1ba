-- Conditions: publications of one slice.
-- Included by: store/current_publication.sql, store/slice_history.sql, store/is_published.sql.
-- Parameters: customer_id, provider, account_id, billing_period.
WHERE customer_id = {customer_id:String}
    AND provider = {provider:String}
    AND account_id = {account_id:String}
    AND billing_period = {billing_period:Date}
