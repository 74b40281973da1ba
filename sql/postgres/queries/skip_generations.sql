-- Let the next generations have numbers above the given one; never lower than they would have been.
SELECT setval(
    pg_get_serial_sequence('optiinfra.generations', 'generation'),
    greatest(%(number)s::bigint, nextval(pg_get_serial_sequence('optiinfra.generations', 'generation')))
)
