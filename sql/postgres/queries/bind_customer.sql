-- Limits the rest of the transaction to reads of the rows of one customer.
SELECT
    set_config('transaction_read_only', 'on', true),
    set_config('optiinfra.customer_id', %(customer_id)s, true),
    set_config('role', 'optiinfra_api', true)
