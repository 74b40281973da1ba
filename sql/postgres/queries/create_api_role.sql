-- The role of 0026_role_of_one_customer.sql, which policies and grants of a dump name; roles belong to the server and are in no dump.
CREATE ROLE optiinfra_api NOLOGIN
