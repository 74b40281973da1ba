-- Grain: one channel by which a customer is told of alerts: a webhook, Slack, Microsoft Teams or e-mail. Its secrets lie apart, encrypted.
-- settings: what is not secret. by_operator: who runs the platform gave the address, so it may be private.
-- deleted_at: nothing is sent by it any more; the row stays for the deliveries that name it.
CREATE TABLE optiinfra.alert_channels (
    channel_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    kind text NOT NULL,
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    by_operator boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
)
