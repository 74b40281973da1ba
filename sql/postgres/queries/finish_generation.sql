-- How an attempt ended.
UPDATE optiinfra.generations SET state = %(state)s WHERE generation = %(generation)s
