-- Select list: a credential without anything encrypted.
credential_id,
account_id,
customer_id,
provider,
version,
key_id,
created_at,
updated_at,
rotated_at,
rewrapped_at,
deleted_at
