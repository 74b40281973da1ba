-- Records how an attempt to build a generation ended.
UPDATE optiinfra.generations SET state = %(state)s WHERE generation = %(generation)s
