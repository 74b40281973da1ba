-- Grain: requests made to the provider of one account on one UTC day, for probes and for collections. cost in USD.
CREATE TABLE optiinfra.provider_requests (
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    day date NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('probe', 'collect')),
    requests bigint NOT NULL,
    cost numeric NOT NULL,
    PRIMARY KEY (account_id, day, purpose)
)
