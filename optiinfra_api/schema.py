"""The GraphQL schema and its limits on operations.

``python -m optiinfra_api.schema`` writes the schema's text to ``schema.graphql`` beside this file; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from optiinfra_api.fields.accounts.accounts import AccountsQuery
from optiinfra_api.fields.accounts.commitments import CommitmentsQuery
from optiinfra_api.fields.accounts.credential_mutations import CredentialsMutation
from optiinfra_api.fields.accounts.credentials import CredentialsQuery
from optiinfra_api.fields.administration.access_log import AccessAuditLogQuery
from optiinfra_api.fields.administration.customers import CustomersMutation, CustomersQuery
from optiinfra_api.fields.administration.rates import RatesMutation, RatesQuery
from optiinfra_api.fields.administration.saved_views import SavedViewsMutation, SavedViewsQuery
from optiinfra_api.fields.administration.tokens import TokensMutation, TokensQuery
from optiinfra_api.fields.alerts.channel_mutations import AlertChannelsMutation
from optiinfra_api.fields.alerts.rules import AlertsMutation, AlertsQuery
from optiinfra_api.fields.collections.history import HistoryQuery
from optiinfra_api.fields.collections.lineage import LineageQuery
from optiinfra_api.fields.collections.restatements import RestatementsQuery
from optiinfra_api.fields.collections.subscriptions import Subscription
from optiinfra_api.fields.collections.trigger import CollectingMutation
from optiinfra_api.fields.costs.billing_periods import CostsByBillingPeriodQuery
from optiinfra_api.fields.costs.charge_types import CostsByTypeQuery
from optiinfra_api.fields.costs.comparison import CompareCostsQuery
from optiinfra_api.fields.costs.latest import LatestCostsQuery
from optiinfra_api.fields.costs.line_items import CostMetricsQuery
from optiinfra_api.fields.costs.resource import ResourceQuery
from optiinfra_api.fields.costs.resources import CostsByResourceQuery
from optiinfra_api.fields.costs.totals import TotalCostQuery
from optiinfra_api.fields.costs.trends import CostTrendsQuery
from optiinfra_api.fields.insights.anomalies import AnomaliesQuery
from optiinfra_api.fields.insights.anomaly_states import AnomaliesMutation
from optiinfra_api.fields.insights.budgets import BudgetsMutation, BudgetsQuery
from optiinfra_api.fields.insights.forecast import ForecastQueryField
from optiinfra_api.fields.insights.forecast_overrides import ForecastMutation
from optiinfra_api.fields.insights.invoices import InvoicesMutation, InvoicesQuery
from optiinfra_api.fields.insights.reconciliation import ReconciliationQuery
from optiinfra_api.fields.platform.automations import AutomationsQuery
from optiinfra_api.fields.platform.health import HealthQuery
from optiinfra_api.graphql.operation_record import OperationRecorder
from optiinfra_api.graphql.request_limits import VariableLimits
from optiinfra_api.graphql.row_execution import RowExecutionContext
from optiinfra_api.graphql.scalars import SCALARS
from optiinfra_api.graphql.validation_rules import CACHED_DOCUMENTS, MAX_TOKENS, OperationValidation


@strawberry.type(
    description="What can be asked. A question that cannot be answered is null, with an error that says why."
)
class Query(
    CostMetricsQuery,
    LatestCostsQuery,
    CostTrendsQuery,
    CostsByResourceQuery,
    ResourceQuery,
    CostsByTypeQuery,
    TotalCostQuery,
    CompareCostsQuery,
    CostsByBillingPeriodQuery,
    AccountsQuery,
    HistoryQuery,
    LineageQuery,
    RestatementsQuery,
    HealthQuery,
    AutomationsQuery,
    CustomersQuery,
    TokensQuery,
    AccessAuditLogQuery,
    CredentialsQuery,
    SavedViewsQuery,
    RatesQuery,
    InvoicesQuery,
    ReconciliationQuery,
    CommitmentsQuery,
    AlertsQuery,
    ForecastQueryField,
    BudgetsQuery,
    AnomaliesQuery,
):
    pass


@strawberry.type(description="What can be done.")
class Mutation(
    CollectingMutation,
    CustomersMutation,
    TokensMutation,
    CredentialsMutation,
    SavedViewsMutation,
    RatesMutation,
    InvoicesMutation,
    AlertsMutation,
    AlertChannelsMutation,
    ForecastMutation,
    BudgetsMutation,
    AnomaliesMutation,
):
    pass


def _field_of(source: Any, name: str) -> Any:
    # Line items stay dictionaries: making an object of each would double the time of a page.
    return source[name] if type(source) is dict else getattr(source, name)


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Do nothing: `graphql.errors` logs unexpected errors, once and with the correlation id."""


def _extensions() -> list[Any]:
    return [
        lambda: MaxTokensLimiter(MAX_TOKENS),
        lambda: ParserCache(CACHED_DOCUMENTS),
        OperationValidation,
        VariableLimits,
        OperationRecorder,
    ]


schema = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=_extensions(),
    execution_context_class=RowExecutionContext,
    config=StrawberryConfig(scalar_map=SCALARS, default_resolver=_field_of),
)


if __name__ == "__main__":
    Path(__file__).with_name("schema.graphql").write_text(schema.as_str() + "\n", encoding="utf-8")
