-- Grain: one thing that a rule watched for and that happened. The unique key makes that each is told once.
-- is_muted: the rule was muted, so nobody is told.
CREATE TABLE optiinfra.alert_occasions (
    occasion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    rule_id text NOT NULL REFERENCES optiinfra.alert_rules,
    occasion_key text NOT NULL,
    found_at timestamptz NOT NULL,
    is_muted boolean NOT NULL,
    message jsonb NOT NULL,
    UNIQUE (rule_id, occasion_key)
)
