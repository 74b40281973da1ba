-- Grain: one place to which what is published of a customer is delivered as FOCUS files: a folder, or a prefix in S3.
-- settings: where, in which version and format. delivery_id: <customer>/<name>; accounts have ids of another form, <customer>.<name>.
-- Secrets of deliveries are credentials too, bound to delivery_id in the place of an account, so that their master keys rotate alike.
DO $$
BEGIN
    CREATE TABLE optiinfra.deliveries (
        delivery_id text PRIMARY KEY,
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        settings jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE optiinfra.deliveries ENABLE ROW LEVEL SECURITY;
    ALTER TABLE optiinfra.credentials DROP CONSTRAINT credentials_account_id_fkey;
END
$$
