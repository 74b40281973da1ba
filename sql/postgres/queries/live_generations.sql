-- Attempts to build a generation that may still be loading.
SELECT generation FROM optiinfra.generations WHERE state = 'loading' AND started_at > now() - %(younger_than)s::interval
