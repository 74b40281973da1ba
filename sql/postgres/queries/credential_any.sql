-- Whether this database still holds any encrypted secret.
SELECT EXISTS (SELECT FROM optiinfra.sealed_keys) AS is_any
