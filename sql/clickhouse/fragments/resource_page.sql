-- The end of a statement: one page of resources, largest first, after (currency, amount, account, resource) if has_after is 1.
HAVING {has_after:UInt8} = 0
    OR (currency, -cost_sum, account, resource)
        > ({after_currency:String}, -toDecimal256({after_amount:String}, 18), {after_account:String}, {after_resource:String})
ORDER BY currency, cost_sum DESC, account, resource
LIMIT {limit:UInt32}
