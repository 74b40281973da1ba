"""The operations of the tests, each asking for everything."""

SUM = "cost { amount currency } lineItems unpricedLineItems"
REACH = "dataThrough isComplete publishedAt isSimulated"

TOTAL = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis, $asOf: DateTime, $customerId: String) {{
  totalCost(period: $period, filter: $filter, costBasis: $costBasis, asOf: $asOf, customerId: $customerId) {{
    totals {{ {SUM} }} {REACH}
  }}
}}"""
TRENDS = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis, $granularity: Granularity!, $groupBy: [Dimension!],
      $groupByTag: String) {{
  costTrends(period: $period, filter: $filter, costBasis: $costBasis, granularity: $granularity, groupBy: $groupBy,
             groupByTag: $groupByTag) {{
    series {{ provider account subAccount service region chargeCategory tag currency dates amounts {SUM} }} {REACH}
  }}
}}"""
TYPES = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis) {{
  costsByType(period: $period, filter: $filter, costBasis: $costBasis) {{
    types {{ chargeCategory chargeClass chargeFrequency pricingCategory {SUM} }} {REACH}
  }}
}}"""
RESOURCES = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis, $first: Int!, $after: String) {{
  costsByResource(period: $period, filter: $filter, costBasis: $costBasis, first: $first, after: $after) {{
    nodes {{ provider account resourceId {SUM} }} pageInfo {{ hasNextPage endCursor }} {REACH}
  }}
}}"""
LINE_ITEMS = f"""
query($period: Period!, $filter: CostFilter, $first: Int!, $after: String, $asOf: DateTime) {{
  costMetrics(period: $period, filter: $filter, first: $first, after: $after, asOf: $asOf) {{
    nodes {{ account chargePeriodStart generation lineNumber billedCost {{ amount currency }} }}
    pageInfo {{ hasNextPage endCursor }} {REACH}
  }}
}}"""
