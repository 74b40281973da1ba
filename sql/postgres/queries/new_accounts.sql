-- Active accounts of some providers that nobody has probed, the longest connected first.
SELECT account_id
FROM optiinfra.accounts
WHERE status = 'active' AND provider = ANY (%(providers)s::text[]) AND probe_tried_at IS NULL
ORDER BY created_at, account_id
LIMIT %(limit)s
