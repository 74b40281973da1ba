-- What the role optiinfra_api sees: rows of the customer that the transaction is bound to, none if it is bound to none.
-- Hashes of tokens and whatever is encrypted it cannot read at all. The owner of the tables is not affected.
DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY[
        'customers', 'accounts', 'collection_history', 'credentials', 'credential_audit_log', 'access_audit_log', 'api_tokens'
    ] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
    END LOOP;
    ALTER TABLE optiinfra.slice_state ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.slice_state FOR SELECT TO optiinfra_api
    USING (account_id IN (SELECT account_id FROM optiinfra.accounts));
    GRANT USAGE ON SCHEMA optiinfra TO optiinfra_api;
    GRANT SELECT ON
    optiinfra.customers, optiinfra.accounts, optiinfra.slice_state, optiinfra.collection_history,
    optiinfra.credential_audit_log, optiinfra.access_audit_log
    TO optiinfra_api;
    GRANT SELECT (token_id, name, customer_id, role, created_at, expires_at, last_used_at, revoked_at)
    ON optiinfra.api_tokens TO optiinfra_api;
    GRANT SELECT
    (credential_id, account_id, customer_id, provider, version, key_id, created_at, updated_at, rotated_at, rewrapped_at, deleted_at)
    ON optiinfra.credentials TO optiinfra_api;
END
$$
