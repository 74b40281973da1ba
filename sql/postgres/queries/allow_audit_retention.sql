-- Lets this transaction delete audit records past their term; those of the last year are refused all the same.
SELECT set_config('optiinfra.audit_term', %(before)s::timestamptz::text, true)
