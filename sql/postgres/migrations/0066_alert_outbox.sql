-- Grain: rule x channel x occasion: what has to be told, and by which delivery. Written in the transaction that finds the occasion.
CREATE TABLE optiinfra.alert_outbox (
    occasion_id bigint NOT NULL REFERENCES optiinfra.alert_occasions,
    channel_id text NOT NULL REFERENCES optiinfra.alert_channels,
    customer_id text NOT NULL,
    delivery_id text NOT NULL REFERENCES optiinfra.alert_deliveries,
    PRIMARY KEY (occasion_id, channel_id)
)
