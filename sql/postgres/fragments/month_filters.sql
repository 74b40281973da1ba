-- Conditions: a customer's rows of some accounts and billing periods (both inclusive); null selects all.
WHERE customer_id = %(customer_id)s AND (%(account_ids)s::text[] IS NULL OR account_id = ANY (%(account_ids)s))
    AND (%(first)s::text IS NULL OR billing_period >= %(first)s)
    AND (%(last)s::text IS NULL OR billing_period <= %(last)s)
