-- From here to the end of the transaction: only reads, and only rows of one customer.
SELECT
    set_config('transaction_read_only', 'on', true),
    set_config('optiinfra.customer_id', %(customer_id)s, true),
    set_config('role', 'optiinfra_api', true)
