"""Simulates Google Cloud: BigQuery with a billing export, Cloud Billing, and the token endpoint.

The formats follow the REST references of BigQuery v2 and Cloud Billing v1; `query_jobs` has the queries, `billing_export` the rows.
The token endpoint accepts an assertion that names the right key. It does not verify the signature: each process creates a new private key,
and accounts that were connected to an earlier process still use the old one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.gcp.billing_export import BillingExport, focus_schema
from optiinfra_assets.simulators.gcp.query_jobs import (
    MARK,
    QueryJobs,
    QuerySource,
    paths,
    refused,
    schema_field,
)
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.spend import MILLIONTH, midnight
from optiinfra_assets.simulators.world.world import World

PROJECT: Final = "billing-simulated"
PAYER: Final = "01A2B3-C4D5E6-F7A8B9"
EMAIL: Final = f"costs@{PROJECT}.iam.gserviceaccount.com"
_PAIR: Final = [{"key": "STRING", "value": "STRING"}]
USAGE: Final[Mapping[str, Any]] = {
    "billing_account_id": "STRING",
    "service": {"id": "STRING", "description": "STRING"},
    "sku": {"id": "STRING", "description": "STRING"},
    "usage_start_time": "TIMESTAMP",
    "usage_end_time": "TIMESTAMP",
    "project": {"id": "STRING", "number": "STRING", "name": "STRING", "labels": _PAIR},
    "labels": _PAIR,
    "system_labels": _PAIR,
    "location": {"location": "STRING", "country": "STRING", "region": "STRING", "zone": "STRING"},
    "resource": {"name": "STRING", "global_name": "STRING"},
    "tags": [{"key": "STRING", "value": "STRING", "inherited": "BOOLEAN", "namespace": "STRING"}],
    "price": {"effective_price": "NUMERIC", "unit": "STRING"},
    "transaction_type": "STRING",
    "seller_name": "STRING",
    "export_time": "TIMESTAMP",
    "cost": "FLOAT",
    "currency": "STRING",
    "currency_conversion_rate": "FLOAT",
    "usage": {
        "amount": "FLOAT",
        "unit": "STRING",
        "amount_in_pricing_units": "FLOAT",
        "pricing_unit": "STRING",
    },
    "credits": [
        {"name": "STRING", "amount": "FLOAT", "full_name": "STRING", "id": "STRING", "type": "STRING"},
    ],
    "invoice": {"month": "STRING", "publisher_type": "STRING"},
    "cost_type": "STRING",
    "adjustment_info": {"id": "STRING", "description": "STRING", "mode": "STRING", "type": "STRING"},
    "cost_at_list": "FLOAT",
}
"""Columns of the detailed export; the standard one has no ``resource``."""


class SimulatedGcp(SimulatedAccount):
    """One billing account, and the project in which its export lies.

    Attributes:
        is_focus: the export is the FOCUS export, which has a subclass.
        has_resources: the export is the detailed one, not the standard one, which has a subclass.
        is_partitioned: the table is partitioned by loading day.
        views_accounts: the service account may view the billing account.
        created: UTC instant at which the table was created.
        jobs: the queries that ran.
    """

    provider = "gcp"
    modes = ("detailed", "standard", "focus")
    renamed_field = "cost"
    lacking_permission = "roles/bigquery.dataViewer"
    mode = "detailed"
    quantum = MILLIONTH
    is_focus = False
    has_resources = True

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.page_size = 10_000
        self.is_partitioned = True
        self.views_accounts = True
        self.created = midnight(world.scenario.start)
        self.jobs = QueryJobs(PROJECT)
        self.export = BillingExport(world, PAYER, self.is_focus)

    @property
    def table(self) -> str:
        """Name of the export's table."""
        kind = "focus" if self.is_focus else "resource_v1" if self.has_resources else "v1"
        return f"{PROJECT}.billing.gcp_billing_export_{kind}_{PAYER.replace('-', '_')}"

    def settings(self) -> dict[str, str]:
        """Return the table, and the address of the API."""
        return {"table": self.table, "endpoint_url": self.url}

    def secrets(self) -> dict[str, str]:
        """Return the key of a service account; `secret` is its id."""
        key = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self.secret,
            "private_key": private_key(),
            "client_email": EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
        }
        return {"service_account_key": json.dumps(key)}

    def invoice_amount(self, period: BillingPeriod) -> Decimal:
        """Return the sum of all pieces of an invoice month, which begins and ends at midnight in California."""
        pieces = self.export.pieces(max(self.world.clock(), self.world.invoiced_at(period)))
        told = sum((piece.amount for piece in pieces if piece.month == period), Decimal(0))
        return told + self.extra_items * self.world.quantum

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Return the sum of what is exported so far."""
        pieces = self.export.pieces(self.world.clock())
        return sum((piece.amount for piece in pieces if piece.month == period), Decimal(0))

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer as documented, each service under its own path."""
        parts = request.path.strip("/").split("/")
        if parts == ["token"]:
            return self._token(request)
        if self.refuses_credential or request.headers.get("authorization") != f"Bearer {self._access_token}":
            return refused(401, "authError", "Request had invalid authentication credentials.")
        if parts[0] == "v1":
            return self._billing(parts[1:], request)
        if self.lacks_permission:
            return refused(403, "accessDenied", f"Access Denied: Table {self.table}: User does not have permission.")
        match parts[2:]:
            case ["projects", project, "datasets", dataset, "tables", table]:
                return self._table(f"{project}.{dataset}.{table}")
            case ["projects", _, "jobs"] if request.method == "POST":
                return self.jobs.insert(json.loads(request.body), self._source())
            case ["projects", _, "jobs", name] if name in self.jobs:
                return self.jobs.look(name)
            case ["projects", _, "queries", name] if name in self.jobs:
                return self.jobs.results(name, request.query, self.page_size, repeats=self.repeats_pages)
        return refused(404, "notFound", f"Not found: {request.path}")

    def disturbed(self, request: SimulatedRequest, response: SimulatedResponse) -> SimulatedResponse:
        """Rename a column of the table instead of a JSON field, and change no field: Google's own client reads them."""
        renames, self.renames_field = self.renames_field, False
        changes, self.changed_fields = self.changed_fields, {}
        seen, self.seen_fields = self.seen_fields, None
        response = super().disturbed(request, response)
        self.renames_field, self.changed_fields, self.seen_fields = renames, changes, seen
        if renames and "/tables/" in request.path:
            old, new = f'"name":"{self.renamed_field}"'.encode(), b'"name":"renamed"'
            return replace(response, body=response.body.replace(old, new))
        return response

    def throttled(self) -> SimulatedResponse:
        """Return the error for too many requests, for which BigQuery uses status 403."""
        return refused(403, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method.")

    def broken(self) -> SimulatedResponse:
        """Return an internal error."""
        return refused(503, "backendError", "Error encountered during execution. Retrying may solve the problem.")

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of this API."""
        return refused(status, code, said)

    @property
    def _access_token(self) -> str:
        return f"ya29.simulated-{hashlib.sha256(self.secret.encode()).hexdigest()}"

    def _token(self, request: SimulatedRequest) -> SimulatedResponse:
        assertion = parse_qs(request.body.decode()).get("assertion", [""])[0]
        head, claims = (_decoded(part) for part in (assertion + "..").split(".")[:2])
        is_right = head.get("kid") == self.secret and claims.get("iss") == EMAIL
        if self.refuses_credential or not is_right:
            said = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return SimulatedResponse.of(said, status=400)
        return SimulatedResponse.of({"access_token": self._access_token, "expires_in": 3599, "token_type": "Bearer"})

    def _billing(self, parts: list[str], request: SimulatedRequest) -> SimulatedResponse:
        if not self.views_accounts:
            return refused(403, "forbidden", "The caller does not have permission")
        account = {
            "name": f"billingAccounts/{PAYER}",
            "open": True,
            "displayName": f"{self.world.scenario.name} (simulated)",
            "currencyCode": self.world.scenario.currency,
        }
        match parts:
            case ["billingAccounts"]:
                return self._page(request, "billingAccounts", [account])
            case ["billingAccounts", name] if name == PAYER:
                return SimulatedResponse.of(account)
            case ["billingAccounts", name, "projects"] if name == PAYER:
                projects = sorted({one.sub_account for one in self.world.scenario.resources})
                infos = [
                    {
                        "name": f"projects/{one}/billingInfo",
                        "projectId": one,
                        "billingAccountName": account["name"],
                        "billingEnabled": True,
                    }
                    for one in projects
                ]
                return self._page(request, "projectBillingInfo", infos)
        return refused(404, "notFound", f"Not found: {request.path}")

    def _page(self, request: SimulatedRequest, name: str, objects: list[dict[str, Any]]) -> SimulatedResponse:
        begin = 0 if self.repeats_pages else int(request.query.get("pageToken") or 0)
        end = begin + min(int(request.query.get("pageSize") or 100), self.page_size)
        following = {"nextPageToken": str(end)} if end < len(objects) else {}
        return SimulatedResponse.of({name: objects[begin:end], **following})

    def _schema(self) -> Mapping[str, Any]:
        if self.is_focus:
            return focus_schema(self.world.quantum)
        return {name: kind for name, kind in USAGE.items() if name != "resource" or self.has_resources}

    def _table(self, name: str) -> SimulatedResponse:
        if name != self.table:
            return refused(404, "notFound", f"Not found: Table {name}")
        now = self.world.clock()
        exported = [piece.exported for piece in self.export.pieces(now)[-1:]]
        exported += [self.world.invoiced_at(period) for period in self._with_extra(now)]
        moved = max(exported, default=midnight(self.world.scenario.start))
        rows = self.export.count(now) + len(self._with_extra(now)) * self.extra_items
        project, dataset, table = name.split(".")
        partitioning = {"timePartitioning": {"type": "DAY"}} if self.is_partitioned else {}
        return SimulatedResponse.of(
            {
                "kind": "bigquery#table",
                "etag": f"{moved.timestamp():.0f}/{rows}",
                "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
                "schema": {"fields": [schema_field(column, kind) for column, kind in self._schema().items()]},
                "numRows": str(rows),
                "type": "TABLE",
                "location": "US",
                "creationTime": _millis(self.created),
                "lastModifiedTime": _millis(moved),
                **partitioning,
            }
        )

    def _with_extra(self, now: datetime) -> list[BillingPeriod]:
        """Closed months if they have extra line items, else none."""
        periods = self.world.periods(now) if self.extra_items else []
        return [period for period in periods if self.world.invoiced_at(period) <= now]

    def _source(self) -> QuerySource:
        now = self.world.clock()
        self.export.halves = self.duplicates_lines
        pseudo = {"_PARTITIONTIME"} if self.is_partitioned else set()
        extra = (self.export.smallest(period, MARK) for period in self._with_extra(now))
        columns = frozenset({*pseudo, *paths(self._schema())})
        return QuerySource(self.table, columns, self.export.rows(now), extra, self.extra_items)


class SimulatedStandardExport(SimulatedGcp):
    """The same account with the standard export, which has no resources."""

    mode = "standard"
    has_resources = False


class SimulatedFocusExport(SimulatedGcp):
    """The same account with the FOCUS export."""

    mode = "focus"
    renamed_field = "BilledCost"
    is_focus = True


@cache
def private_key() -> str:
    """Return a private key in PEM for the service accounts of this process. It is short: it protects nothing and every use takes time."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - see above
    shape, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, shape, plain).decode()


def _decoded(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
