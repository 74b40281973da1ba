-- How many series a customer's costs of some days have that forecasts are made of: account x sub account x service x currency.
SELECT uniqExact(account_id, sub_account_id, service_name, billing_currency)
FROM cost_by_charge
-- include: resolved_generations
    -- include: charges_of_days
