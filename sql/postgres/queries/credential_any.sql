-- Whether this database still holds any encrypted secret.
SELECT EXISTS (SELECT FROM optiinfra.credentials) AS is_any
