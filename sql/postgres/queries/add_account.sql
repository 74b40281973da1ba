-- Adds an account. Adding the same account again makes it active; returns no row if the id exists with other content.
INSERT INTO optiinfra.accounts (account_id, customer_id, provider, settings, is_simulated)
VALUES (%(account_id)s, %(customer_id)s, %(provider)s, %(settings)s, %(is_simulated)s)
ON CONFLICT (account_id) DO UPDATE SET status = 'active', disabled_at = NULL
WHERE (accounts.customer_id, accounts.provider, accounts.settings, accounts.is_simulated)
    = (excluded.customer_id, excluded.provider, excluded.settings, excluded.is_simulated)
RETURNING account_id, customer_id, provider, settings, is_simulated
