-- Conditions: slices of a customer, a provider, an account; a null filter selects all.
AND (%(customer_id)s::text IS NULL OR accounts.customer_id = %(customer_id)s)
AND (%(provider)s::text IS NULL OR accounts.provider = %(provider)s)
AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
