-- Conditions: what is used from day to day by one account in one currency, of one service or ('') of all.
AND account_id = {account_id:String}
AND billing_currency = {currency:String}
AND ({service:String} = '' OR service_name = {service:String})
AND charge_category = 'Usage'
AND charge_class != 'Correction'
AND charge_frequency NOT IN ('Recurring', 'One-Time')
