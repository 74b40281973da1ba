-- When the settings of an account were last changed, and since when it is disabled; null: never, and not.
ALTER TABLE optiinfra.accounts
ADD COLUMN updated_at timestamptz,
ADD COLUMN disabled_at timestamptz
