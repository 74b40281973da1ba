"""The operations of the tests, each asking for everything."""

SUM = "cost { amount currency } lineItems unpricedLineItems"
REACH = "dataThrough isComplete publishedAt isSimulated"

TOTAL = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis, $asOf: DateTime, $customerId: String) {{
  totalCost(period: $period, filter: $filter, costBasis: $costBasis, asOf: $asOf, customerId: $customerId) {{
    totals {{ {SUM} }} {REACH}
  }}
}}"""
GROUP = """provider account billingPeriod subAccount service region chargeCategory pricingCategory serviceProvider serviceCategory
    invoice sku commitment tag tags"""
SERIES = f"currency dates amounts {SUM}"
TRENDS = f"""
query($period: Period!, $filter: CostFilter, $costBasis: CostBasis, $granularity: Granularity!, $groupBy: [Dimension!],
      $groupByTag: String, $groupByTags: [String!], $ignoreTagCase: Boolean, $orderBy: SeriesOrder, $limit: Int) {{
  costTrends(period: $period, filter: $filter, costBasis: $costBasis, granularity: $granularity, groupBy: $groupBy,
             groupByTag: $groupByTag, groupByTags: $groupByTags, ignoreTagCase: $ignoreTagCase, orderBy: $orderBy, limit: $limit) {{
    series {{ {GROUP} {SERIES} }} other {{ {SERIES} }} {REACH}
  }}
}}"""
MONEY = "{ amount currency }"
COMPARED = f"""currency before {MONEY} after {MONEY} difference {MONEY} lineItemsBefore lineItemsAfter unpricedLineItems groups"""
EFFECTS = f"priceEffect {MONEY} usageEffect {MONEY} whyNoEffect"
COMPARISON = f"""
query($period: Period!, $with: Period!, $filter: CostFilter, $costBasis: CostBasis, $groupBy: [Dimension!],
      $groupByTag: String, $groupByTags: [String!], $ignoreTagCase: Boolean, $limit: Int, $effects: Boolean = false) {{
  compareCosts(period: $period, with: $with, filter: $filter, costBasis: $costBasis, groupBy: $groupBy, groupByTag: $groupByTag,
               groupByTags: $groupByTags, ignoreTagCase: $ignoreTagCase, limit: $limit) {{
    totals {{ {COMPARED} ... on Compared @include(if: $effects) {{ {EFFECTS} }} }}
    groups {{ {GROUP} {COMPARED} isOther isNew isGone share ... on Compared @include(if: $effects) {{ {EFFECTS} }} }} {REACH}
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
OF_A_MONTH = ("invoiced", "charged", "difference", "lineItems", "unpricedLineItems", "isFinal")
BILLING_PERIODS = f"""
query($from: String!, $to: String!, $filter: CostFilter, $costBasis: CostBasis, $groupBy: [Dimension!],
      $groupByTag: String, $groupByTags: [String!], $ignoreTagCase: Boolean) {{
  costsByBillingPeriod(from: $from, to: $to, filter: $filter, costBasis: $costBasis, groupBy: $groupBy, groupByTag: $groupByTag,
                       groupByTags: $groupByTags, ignoreTagCase: $ignoreTagCase) {{
    months {{ {GROUP} currency invoiced {MONEY} charged {MONEY} difference {MONEY} lineItems unpricedLineItems isFinal }} {REACH}
  }}
}}"""
