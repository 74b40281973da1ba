-- Who gave the settings and the secrets of an account. What a customer gave over the API reaches the public internet only;
-- what the operator of the platform gave may also lead into its own network.
-- Of accounts that exist the audit log tells: they are the operator's, unless one of a customer's tokens stored something.
-- A column without a value given is the customer's: nobody vouches for it.
DO $$
BEGIN
    ALTER TABLE optiinfra.accounts
    ADD COLUMN settings_by_operator boolean NOT NULL DEFAULT true,
    ADD COLUMN secrets_by_operator boolean NOT NULL DEFAULT true;
    UPDATE optiinfra.accounts
    SET settings_by_operator = NOT given.settings, secrets_by_operator = false
    FROM (
        SELECT account_id, bool_or(action <> 'rotate') AS settings
        FROM optiinfra.credential_audit_log
        WHERE action IN ('create', 'update', 'rotate')
            AND outcome = 'done'
            AND actor <> 'connect'
            AND actor NOT IN (SELECT token_id FROM optiinfra.api_tokens WHERE customer_id IS NULL)
        GROUP BY account_id
    ) AS given
    WHERE given.account_id = accounts.account_id;
    ALTER TABLE optiinfra.accounts
    ALTER COLUMN settings_by_operator SET DEFAULT false,
    ALTER COLUMN secrets_by_operator SET DEFAULT false;
END
$$
