-- Makes the next generations get numbers above the given one; never lowers the next number.
SELECT setval(
    pg_get_serial_sequence('optiinfra.generations', 'generation'),
    greatest(%(number)s::bigint, nextval(pg_get_serial_sequence('optiinfra.generations', 'generation')))
)
