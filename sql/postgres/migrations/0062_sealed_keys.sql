-- Everything that a master key wraps: data keys of accounts' credentials and of channels' secrets. For the rotation of master keys.
CREATE VIEW optiinfra.sealed_keys AS
SELECT credential_id, account_id, customer_id, version, wrapped_key, key_id
FROM optiinfra.credentials
UNION ALL
SELECT channel_id, 'channel:' || channel_id, customer_id, version, wrapped_key, key_id
FROM optiinfra.channel_secrets
