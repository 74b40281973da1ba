-- Secrets of accounts and channels wrapped by a master key other than the new one, also deleted ones; by id, after a given one.
SELECT credential_id, account_id, customer_id, version, wrapped_key, key_id
FROM optiinfra.sealed_keys
WHERE key_id <> %(new)s
    AND credential_id > %(after)s
ORDER BY credential_id
LIMIT %(first)s
