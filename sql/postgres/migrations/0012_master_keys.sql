-- Grain: one master key that ever wrapped a data key. Not the key: its name, and when it was in use.
-- key_version: counts the keys of this installation. retired_at: nothing is wrapped by it any more and nothing will be.
CREATE TABLE optiinfra.master_keys (
    key_version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id text NOT NULL UNIQUE,
    first_used_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
)
