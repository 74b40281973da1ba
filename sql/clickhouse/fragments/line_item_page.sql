-- The end of a statement: one page of line items, newest first, after (charge period start, generation, line number) if has_after is 1.
AND ({has_after:UInt8} = 0 OR (charge_period_start <= {after_start:DateTime('UTC')}
    AND (charge_period_start < {after_start:DateTime('UTC')}
        OR (generation, line_number) > ({after_generation:UInt64}, {after_line_number:UInt32}))))
ORDER BY charge_period_start DESC, generation, line_number
LIMIT {limit:UInt32}
