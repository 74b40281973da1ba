"""The schema, and the limits on what may be asked of it.

``python -m optiinfra_api.schema`` writes its text to ``schema.graphql`` beside this file; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import (
    AddValidationRules,
    MaxTokensLimiter,
    ParserCache,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from optiinfra_api.access_log import AccessAuditLogQuery
from optiinfra_api.accounts import AccountsQuery
from optiinfra_api.characters import NoNullCharacter
from optiinfra_api.charge_types import CostsByTypeQuery
from optiinfra_api.collecting import CollectingMutation
from optiinfra_api.credential_changes import CredentialsMutation
from optiinfra_api.credentials import CredentialsQuery
from optiinfra_api.customers import CustomersMutation, CustomersQuery
from optiinfra_api.execution import RowExecutionContext
from optiinfra_api.health import HealthQuery
from optiinfra_api.history import HistoryQuery
from optiinfra_api.latest import LatestCostsQuery
from optiinfra_api.limits import MAX_TOKENS, OperationLimits
from optiinfra_api.line_items import CostMetricsQuery
from optiinfra_api.lineage import LineageQuery
from optiinfra_api.recording import Recording
from optiinfra_api.resources import CostsByResourceQuery
from optiinfra_api.restatements import RestatementsQuery
from optiinfra_api.scalars import SCALARS
from optiinfra_api.subscriptions import Subscription
from optiinfra_api.tokens import TokensMutation, TokensQuery
from optiinfra_api.totals import TotalCostQuery
from optiinfra_api.trends import CostTrendsQuery

CACHED_DOCUMENTS = 256


@strawberry.type(
    description="What can be asked. A question that cannot be answered is null, with an error that says why."
)
class Query(
    CostMetricsQuery,
    LatestCostsQuery,
    CostTrendsQuery,
    CostsByResourceQuery,
    CostsByTypeQuery,
    TotalCostQuery,
    AccountsQuery,
    HistoryQuery,
    LineageQuery,
    RestatementsQuery,
    HealthQuery,
    CustomersQuery,
    TokensQuery,
    AccessAuditLogQuery,
    CredentialsQuery,
):
    pass


@strawberry.type(description="What can be done.")
class Mutation(CollectingMutation, CustomersMutation, TokensMutation, CredentialsMutation):
    pass


def _field_of(source: Any, name: str) -> Any:
    # Line items stay the dictionaries they come as: an object for each would double the time of a page.
    return source[name] if type(source) is dict else getattr(source, name)


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing: `endpoint` logs what is unexpected, once and with the correlation id."""


def _extensions() -> list[Any]:
    return [
        lambda: MaxTokensLimiter(MAX_TOKENS),
        lambda: ParserCache(CACHED_DOCUMENTS),
        lambda: AddValidationRules([OperationLimits, NoNullCharacter]),
        lambda: ValidationCache(CACHED_DOCUMENTS),
        Recording,
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
