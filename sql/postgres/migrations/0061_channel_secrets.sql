-- Grain: the secrets of one channel, encrypted as those of accounts are: see credentials. A removed channel has none.
-- Both encryptions are bound to (customer_id, 'channel:' || channel_id, channel_id, version), so they open in no other row.
CREATE TABLE optiinfra.channel_secrets (
    channel_id text PRIMARY KEY REFERENCES optiinfra.alert_channels,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    version integer NOT NULL CHECK (version > 0),
    ciphertext bytea NOT NULL,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 12),
    wrapped_key bytea NOT NULL,
    key_id text NOT NULL REFERENCES optiinfra.master_keys (key_id)
)
