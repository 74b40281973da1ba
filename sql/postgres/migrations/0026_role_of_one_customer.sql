-- The role in which the API reads for one customer. Roles belong to the whole server: it may be there, and may be made right now by
-- the migration of another database. A user that may make no role needs an administrator once.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'optiinfra_api') THEN
        BEGIN
            CREATE ROLE optiinfra_api NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    -- Up to PostgreSQL 15 every member may take the role; since then membership and that are granted apart.
    IF NOT pg_has_role(
        current_user,
        'optiinfra_api',
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        EXECUTE format('GRANT optiinfra_api TO %I', current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'role optiinfra_api: user % may not make or take it: let an administrator of the server run once: CREATE ROLE optiinfra_api NOLOGIN; GRANT optiinfra_api TO %', current_user, quote_ident(current_user)
        USING ERRCODE = 'insufficient_privilege';
END
$$
