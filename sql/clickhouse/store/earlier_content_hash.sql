-- Hash of the line items of one generation as a multiset: their number, and the sum of a 128-bit hash of each (modulo 2 to the 128).
-- RowBinary tells null from empty and where each value ends; the hash functions themselves return null for any null argument.
-- The hash leaves out the slice, the generation and line_number. Every other column of raw_costs is content.
SELECT concat(toString(count()), ':', hex(sum(reinterpretAsUInt128(sipHash128(formatRowNoNewline(
        'RowBinary',
        source,
        is_estimated,
        -- include: line_item_values,
        mapSort(tags),
        mapSort(x_columns)
    )))))) AS content_hash
FROM raw_costs
-- include: generations
