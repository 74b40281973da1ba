-- What the role optiinfra_api sees of requests and events: rows of the customer that the transaction is bound to.
DO $$
BEGIN
    ALTER TABLE optiinfra.provider_requests ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.provider_requests FOR SELECT TO optiinfra_api
    USING (account_id IN (SELECT account_id FROM optiinfra.accounts));
    ALTER TABLE optiinfra.collection_events ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.collection_events FOR SELECT TO optiinfra_api
    USING (customer_id = current_setting('optiinfra.customer_id', true));
    GRANT SELECT ON optiinfra.provider_requests, optiinfra.collection_events TO optiinfra_api;
END
$$
