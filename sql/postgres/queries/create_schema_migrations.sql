-- Grain: one migration that ran. Created before the first numbered file runs.
CREATE TABLE IF NOT EXISTS optiinfra.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
