-- Each collection asks for the attempts at its slice that left rows; without an index it read those of all customers.
CREATE INDEX generations_ended ON optiinfra.generations (account_id, billing_period, generation)
    WHERE state IN ('unchanged', 'discarded');
