-- The end of a statement: one page of line items, newest first, after (charge period start, generation, line number) if has_after is 1.
-- Included by: queries/line_items.sql, queries/line_items_core.sql.
-- Parameters: has_after, after_start, after_generation, after_line_number, limit.
AND ({has_after:UInt8} = 0 OR (charge_period_start <= {after_start:DateTime('UTC')}
    AND (charge_period_start < {after_start:DateTime('UTC')}
        OR (generation, line_number) > ({after_generation:UInt64}, {after_line_number:UInt32}))))
ORDER BY charge_period_start DESC, generation, line_number
LIMIT {limit:UInt32}
