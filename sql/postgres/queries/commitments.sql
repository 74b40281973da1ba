-- The commitments of a customer by account and id, after a given one; of one account, if one is named.
SELECT
    account_id,
    commitment_id,
    content,
    stated_at
FROM optiinfra.commitments
WHERE customer_id = %(customer_id)s AND account_id = coalesce(%(account_id)s, account_id)
    AND (%(after_account)s::text IS NULL OR (account_id, commitment_id) > (%(after_account)s, %(after_id)s))
ORDER BY account_id, commitment_id
LIMIT %(first)s
