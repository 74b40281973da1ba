-- Grain: one message of a rule by one channel: of one occasion, of several that were found at once, or of those of a digest (slot).
-- due_at: when it is tried next; an attempt moves it on before it begins, so that one that dies is repeated, with the same id.
-- content: what is sent, made by the first attempt and the same at each; occasions are added only before that.
CREATE TABLE optiinfra.alert_deliveries (
    delivery_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    rule_id text NOT NULL REFERENCES optiinfra.alert_rules,
    channel_id text NOT NULL REFERENCES optiinfra.alert_channels,
    slot text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    first_tried_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    content jsonb,
    error text,
    sent_at timestamptz,
    UNIQUE (rule_id, channel_id, slot)
)
