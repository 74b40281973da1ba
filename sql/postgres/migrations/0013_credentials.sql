-- Grain: the secret fields of one account, encrypted. Fields that are not secret stay in accounts.settings.
-- ciphertext: AES-256-GCM under a data key of this row and version; wrapped_key: that data key, encrypted by master key key_id.
-- Both are bound to (customer_id, account_id, credential_id, version), so they open in no other row.
-- version: one more for each secret stored. rotated_at: the secret was replaced; rewrapped_at: only its master key was.
-- deleted_at: not used any more, not erased; purging removes the row.
CREATE TABLE optiinfra.credentials (
    credential_id text PRIMARY KEY,
    account_id text NOT NULL UNIQUE REFERENCES optiinfra.accounts,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    provider text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    ciphertext bytea NOT NULL,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 12),
    wrapped_key bytea NOT NULL,
    key_id text NOT NULL REFERENCES optiinfra.master_keys (key_id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    rewrapped_at timestamptz,
    deleted_at timestamptz
)
