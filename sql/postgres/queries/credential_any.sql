-- Whether anything was ever encrypted here and is still kept.
SELECT EXISTS (SELECT FROM optiinfra.credentials) AS is_any
