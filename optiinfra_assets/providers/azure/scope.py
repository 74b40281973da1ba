"""A scope of Cost Management: a subscription, a resource group, a management group, a billing account or a part of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.azure.query_api import CostQueryClient, no_such_scope
from optiinfra_assets.providers.http.json_fields import JsonFields

if TYPE_CHECKING:
    from optiinfra_assets.providers.azure.entra import EntraSession

NAME: Final = AuxiliaryEndpoint(
    r"^GET /(subscriptions|providers)/(?!.*/invoices\n)", "the name of the scope or its subscription"
)
ACCEPTED: Final = (
    "subscriptions/<id>, subscriptions/<id>/resourceGroups/<name>, providers/Microsoft.Management/managementGroups/<id>, or "
    "providers/Microsoft.Billing/billingAccounts/<id> and below"
)
_SCOPE: Final = re.compile(
    r"subscriptions/[\w-]+(/resourceGroups/[\w.()-]+)?|providers/Microsoft\.Management/managementGroups/[\w.()-]+"
    r"|providers/Microsoft\.Billing/billingAccounts/[\w.:()-]+(/[A-Za-z]+/[\w.:()-]+){0,2}",
    re.ASCII | re.IGNORECASE,
)

INVOICED: Final = (
    "subscriptions/<id>, providers/Microsoft.Billing/billingAccounts/<id> and one of its /billingProfiles/<id>"
)
_SUBSCRIPTION: Final = re.compile(r"subscriptions/([\w-]+)", re.ASCII | re.IGNORECASE)
_BILLING: Final = re.compile(
    r"providers/Microsoft\.Billing/billingAccounts/[^/]+(/billingProfiles/[^/]+)?", re.IGNORECASE
)


def invoices_path(scope: str) -> str | None:
    """Returns the path of the invoices of a scope, None if it has none of its own."""
    subscription = _SUBSCRIPTION.fullmatch(scope)
    if subscription:
        billed = f"billingSubscriptions/{subscription[1]}"
        return f"providers/Microsoft.Billing/billingAccounts/default/{billed}/invoices"
    return f"{scope}/invoices" if _BILLING.fullmatch(scope) else None


def check_scope(scope: str) -> str:
    """Returns `scope` without leading and trailing slashes.

    Raises:
        ValueError: the scope is not accepted; says which are.
    """
    scope = scope.strip("/")
    if not _SCOPE.fullmatch(scope):
        raise ValueError(f"accepted are {ACCEPTED}")
    return scope


class ScopeClient:
    """One scope, with a client for it. Use it in a ``with``.

    Attributes:
        account_id: the scope as billing account id.
        subscription: id of the subscription that the scope is or lies in; None if the scope is wider.
        query: client for the scope's costs.
    """

    def __init__(self, scope: str, endpoint: str, service: EntraSession) -> None:
        from azure.mgmt.costmanagement import CostManagementClient

        self._scope = scope
        self._endpoint = endpoint
        self._service = service
        self._parts = scope.split("/")
        self._is_billing = self._parts[1].lower() == "microsoft.billing"
        self._permission = (
            "a reader role of the billing scope, such as Billing account reader or Enterprise reader"
            if self._is_billing
            else f"the role Cost Management Reader at {scope}"
        )
        is_narrow = self._parts[0].lower() == "subscriptions"
        self.account_id = f"/{scope.lower()}"
        self.subscription = f"/subscriptions/{self._parts[1].lower()}" if is_narrow else None
        self._client = CostManagementClient(
            service.credential,
            endpoint,
            credential_scopes=[f"{endpoint}/.default"],
            **service.options(endpoint),
        )
        self.query = CostQueryClient(self._client, service, endpoint, scope, self._permission)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def display_name(self) -> str | None:
        """Returns the display name of the scope or of its subscription; None if there is none or it cannot be read."""
        return NAME.read(self._service.context, self._display_name, None)

    def get(self, address: str, params: Mapping[str, str], permission: str) -> JsonFields:
        """Returns what Azure Resource Manager answers.

        Args:
            address: of the resource, below the endpoint.
            params: of the query.
            permission: what the credential needs, for messages.

        Raises:
            ProviderError: it refused, or could not be read.
        """
        from azure.core.rest import HttpRequest

        where = f"GET {address.split('?')[0].lstrip('/')}"

        def attempt() -> str:
            request = HttpRequest("GET", f"{self._endpoint}/{address.lstrip('/')}", params=params)
            response = self._client.send_request(request)
            response.raise_for_status()
            return response.text()

        text = self._service.ask(
            where,
            permission,
            attempt,
            explain=lambda status, said: no_such_scope(self._scope, status, said),
        )
        return JsonFields.parse(text.encode(), where, self._service.hide, self._service.note)

    def _display_name(self) -> str | None:
        path, version, within = self._named()
        fields = self.get(path, {"api-version": version}, self._permission)
        return (fields.object(within) if within else fields).optional("displayName", JsonFields.text, None)

    def _named(self) -> tuple[str, str, str]:
        """Returns the path of the resource that has the name, its API version, and the object around the field."""
        if self.subscription:
            return "/".join(self._parts[:2]), "2022-12-01", ""
        version = "2024-04-01" if self._is_billing else "2020-05-01"
        return "/".join(self._parts[:4]), version, "properties"
