"""Simulates Azure on one port over TLS: sign-in, a subscription's name, cost queries, a container with a FOCUS export.

Responses follow Microsoft's documents and examples, and what the SDKs require. One application may read, with one secret.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qs

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.azure.blob_storage import blob_answer, storage_failure
from optiinfra_assets.simulators.azure.dated_costs import billed_total, dated_costs
from optiinfra_assets.simulators.azure.exports import FOLDER, ExportFiles
from optiinfra_assets.simulators.azure.invoices import ASKED_DATES, asked_day, invoice_of
from optiinfra_assets.simulators.azure.query_api import ROWS_AT_ONCE, QueryEndpoint, failure
from optiinfra_assets.simulators.invoices import LateRefund, invoices_of
from optiinfra_assets.simulators.server.certificates import Certificate
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.spend import MILLIONTH
from optiinfra_assets.simulators.world.world import World

TENANT: Final = "5f1a7ed0-0000-4000-8000-00000000000a"
CLIENT: Final = "5f1a7ed0-0000-4000-8000-00000000000c"
SUBSCRIPTION: Final = "5f1a7ed0-0000-4000-8000-000000000001"
CONTAINER: Final = "/simulatedcosts/exports"

RULES: Final = {
    "posting_delay": timedelta(hours=8),
    "invoice_delay": timedelta(days=5),
    "capped_hours": None,
}
"""Usage shows after some hours; a month is closed at the end of the 5th of the next month."""
LAST_RUN: Final = timedelta(days=4, hours=20)
"""Counted from the end of a month: exports of the month so far still cover the old month until then, on the first five days of the next."""


class SimulatedAzure(SimulatedAccount):
    """One scope, read by the Query API.

    Attributes:
        scope: the queried scope: a subscription, or a wider scope.
        taxes_apart: the tax of a month is on an invoice of its own.
        late_refunds: credit notes for closed months, which the costs never show.
    """

    provider = "azure"
    modes = ("query", "focus-export")
    mode = "query"
    rules = RULES
    quantum = MILLIONTH
    renamed_field = "Cost"
    lacking_permission = "Cost Management Reader"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.scope = f"subscriptions/{SUBSCRIPTION}"
        self.page_size = ROWS_AT_ONCE
        self.taxes_apart = False
        self.late_refunds: list[LateRefund] = []
        self.exports = ExportFiles(self, SUBSCRIPTION)
        self._certificate: Certificate | None = None

    def start(self) -> None:
        """Listen, with a new certificate."""
        self._certificate = Certificate.make(self._port)
        self.tls = self._certificate.tls
        super().start()

    def stop(self) -> None:
        """Close the port."""
        super().stop()
        if self._certificate is not None:
            self._certificate.remove()

    def settings(self) -> dict[str, str]:
        """Address of the cloud, application that may read, and scope."""
        return {"scope": self.scope, "endpoint_url": self.url, **self._sign_in()}

    def secrets(self) -> dict[str, str]:
        """The secret of the application."""
        return {"client_secret": self.secret}

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond as documented; with a wrong secret or without the role, return the documented error."""
        if request.path.startswith(f"/{TENANT}/"):
            return self._signed_in(request)
        is_blob = request.path.startswith("/simulatedcosts/")
        if request.headers.get("authorization") != f"Bearer {self._token()}":
            said = ("The access token is invalid.", 401)
            return (
                storage_failure("InvalidAuthenticationInfo", *said)
                if is_blob
                else failure("InvalidAuthenticationToken", *said)
            )
        if is_blob:
            return self._blobs(request)
        return self._managed(request)

    def throttled(self) -> SimulatedResponse:
        """Return 429: each limit has its own header, and the client must wait for all of them."""
        headers = {
            f"x-ms-ratelimit-microsoft.costmanagement-{limit}-retry-after": seconds
            for limit, seconds in (("qpu", "2"), ("entity", "7"), ("tenant", "1"), ("clienttype", "3"))
        }
        return failure("429", "Too many requests. Please retry.", 429, headers)

    def broken(self) -> SimulatedResponse:
        """Return an internal error."""
        return failure("InternalServerError", "The server encountered an error. Please retry.", 500)

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of this API."""
        return failure(code, said, status)

    def invoice_amount(self, period: BillingPeriod) -> Decimal:
        """Sum of a closed month before tax and credits, which the data do not contain."""
        costs = dated_costs(self.world, period, self.world.invoiced_at(period))
        return billed_total(costs) + self.extra_items * self.world.quantum

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Sum that the last refresh shows, before tax and credits."""
        now = min(self.world.clock(), self.world.invoiced_at(period))
        return billed_total(dated_costs(self.world, period, now))

    def _sign_in(self) -> dict[str, str]:
        if self._certificate is None:
            raise RuntimeError("the simulated cloud is not started")
        return {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "authority": self.url,
            "ca_file": str(self._certificate.path),
        }

    def _token(self) -> str:
        return f"simulated-{hashlib.sha256(self.secret.encode()).hexdigest()[:40]}"

    def _signed_in(self, request: SimulatedRequest) -> SimulatedResponse:
        base = f"{self.url}/{TENANT}"
        if request.path.endswith("/.well-known/openid-configuration"):
            return SimulatedResponse.of(
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                    "issuer": f"{base}/v2.0",
                }
            )
        asked = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        if self.refuses_credential or asked.get("client_secret") != self.secret:
            return _refused_secret()
        return SimulatedResponse.of({"token_type": "Bearer", "expires_in": 3599, "access_token": self._token()})

    def _managed(self, request: SimulatedRequest) -> SimulatedResponse:
        if self.lacks_permission:
            said = f"The client '{CLIENT}' does not have authorization to perform action over scope '/{self.scope}'."
            return failure("AuthorizationFailed", said, 403)
        if request.path.strip("/") == f"{self.scope}/providers/Microsoft.CostManagement/query":
            if request.method != "POST":
                return failure("MethodNotAllowed", "The requested resource does not support this method.", 405)
            return QueryEndpoint(self, self.scope).answer(request)
        if request.path.endswith("/invoices"):
            return self._invoices(request)
        if request.path.strip("/") == "/".join(self.scope.split("/")[: 2 if self.is_narrow else 4]):
            name = f"{self.world.scenario.name} (simulated)"
            known = {"displayName": name} if self.is_narrow else {"properties": {"displayName": name}}
            return SimulatedResponse.of({"id": request.path, **known})
        return failure("SubscriptionNotFound", "The subscription could not be found.", 404)

    def _invoices(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the invoices of the asked dates, two a page."""
        first, last = (asked_day(request.query[name]) for name in ASKED_DATES)
        found = [
            invoice_of(one, self.currency, self.url)
            for period in self.world.periods()
            if first <= period.start.date() <= last
            for one in invoices_of(
                self.world,
                period,
                besides=self.extra_items * self.world.quantum,
                taxes_apart=self.taxes_apart,
                late_refunds=self.late_refunds,
            )
        ]
        begin = 0 if self.repeats_pages else int(request.query.get("skip", 0))
        end = begin + 2
        query = "&".join(f"{name}={request.query[name]}" for name in ("api-version", *ASKED_DATES))
        more = {"nextLink": f"{self.url}{request.path}?{query}&skip={end}"} if end < len(found) else {}
        return SimulatedResponse.of({"value": found[begin:end]} | more)

    @property
    def is_narrow(self) -> bool:
        """Whether the scope is a subscription or lies in one."""
        return self.scope.startswith("subscriptions/")

    def _blobs(self, request: SimulatedRequest) -> SimulatedResponse:
        if self.lacks_permission:
            said = "This request is not authorized to perform this operation using this permission."
            return storage_failure("AuthorizationPermissionMismatch", said, 403)
        return blob_answer(request, CONTAINER, self.exports.blobs(), self.page_size, self.repeats_pages)


class SimulatedAzureExport(SimulatedAzure):
    """The same account, read from its FOCUS export."""

    mode = "focus-export"
    rules = RULES | {"invoice_delay": LAST_RUN}
    renamed_field = "BilledCost"
    lacking_permission = "Storage Blob Data Reader"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.page_size = 5_000

    def settings(self) -> dict[str, str]:
        """Location of the export, application that may read it, and the subscription whose invoices bill it."""
        at = {"export_url": f"{self.url}{CONTAINER}/{FOLDER}", "endpoint_url": self.url}
        return {**at, "invoice_scope": self.scope, **self._sign_in()}


def _refused_secret() -> SimulatedResponse:
    said = (
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
        f"not the client secret ID, for a secret added to app '{CLIENT}'. Trace ID: 0 Correlation ID: 0 Timestamp: 2026-01-01 00:00:00Z"
    )
    return SimulatedResponse.of(
        {"error": "invalid_client", "error_description": said, "error_codes": [7000215]}, status=401
    )
