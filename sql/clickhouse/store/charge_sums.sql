-- Billed cost of some generations by what an invoice is for: issuer, currency and invoice; if by_day, also by charge category, service and
-- UTC day, which is where a difference is looked for. Sums have 256 bits, as in sums_of_generations.
SELECT
    generation, invoice_issuer_name, billing_currency, ifNull(invoice_id, '') AS invoice,
    if({by_day:Bool}, charge_category, '') AS category,
    if({by_day:Bool}, service_name, '') AS service,
    if({by_day:Bool}, toDate(charge_period_start), toDate(0)) AS day,
    sum(toDecimal256(billed_cost, 18)),
    count()
FROM raw_costs
-- include: generations
GROUP BY ALL
