"""Simulates AWS: one address for S3, STS, Organizations and Cost Explorer; it checks the signature of every request.

An account is set up in one of three ways: it exports FOCUS 1.2, or the Cost and Usage Report 2.0, to a bucket, or has only Cost Explorer.
All data are refreshed at midnight (UTC).
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.aws.bill_lines import member_of, payer_of, refreshed_at
from optiinfra_assets.simulators.aws.cost_explorer import GroupedCosts, json_error
from optiinfra_assets.simulators.aws.data_exports import FOLDER, SimulatedExport
from optiinfra_assets.simulators.aws.export_tables import TABLES
from optiinfra_assets.simulators.aws.invoices import invoice_summary
from optiinfra_assets.simulators.aws.s3 import ObjectStore, xml, xml_error
from optiinfra_assets.simulators.aws.signatures import is_signed_with, key_id
from optiinfra_assets.simulators.invoices import LateRefund, invoices_of
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.world import World

QUANTUM: Final = Decimal("0.0000000001")
BUCKET: Final = "simulated-costs"
KEY_ID: Final = "AKIASIMULATED0000001"
ROLE_KEY_ID: Final = "ASIASIMULATED0000002"
ROLE_SECRET: Final = "simulated/secret/of/an/assumed/role"  # noqa: S105 - made up, and handed out by the simulated STS alone
ROLE_TOKEN: Final = "simulated-session-token"  # noqa: S105 - as above


class SimulatedAws(SimulatedAccount):
    """The part that all AWS accounts share: signatures, STS, Organizations.

    Attributes:
        role_arn: a role that the key may assume; None: there is none.
        external_id: external id that the role's trust policy requires.
        has_organization: the account manages an organization and may list its accounts.
        taxes_apart: the tax of a month is on an invoice of its own.
        late_refunds: credit memos for closed months, which its costs never show.
    """

    provider = "aws"
    modes = ("focus-export", "cur-export", "cost-explorer")
    quantum = QUANTUM

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.page_size = 1000
        self.role_arn: str | None = None
        self.external_id = ""
        self.has_organization = True
        self.taxes_apart = False
        self.late_refunds: list[LateRefund] = []
        self._asked_now = threading.local()

    def secrets(self) -> dict[str, str]:
        """An access key."""
        return {"access_key_id": KEY_ID, "secret_access_key": self.secret}

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Sum of the charges up to midnight, in whole days."""
        charges = self.world.charges(period, refreshed_at(self.world))
        return sum((charge.amount for charge in charges), Decimal(0))

    def respond(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond as any cloud does; remembers the request, because the error format depends on the requested service."""
        self._asked_now.request = request
        return super().respond(request)

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Dispatch by the requested service, because all services share one address here."""
        refusal = self._refused(request)
        if refusal is not None:
            return refusal
        target = request.headers.get("x-amz-target", "")
        if target == "AWSOrganizationsV20161128.ListAccounts":
            return self._accounts(request)
        if request.method == "POST" and request.path == "/" and not target:
            return self._sts(request)
        if self.lacks_permission:
            return self._said(
                request, 403, self._denied, f"User is not authorized to perform: {self.lacking_permission}"
            )
        if target == "Invoicing.ListInvoiceSummaries":
            return self._invoices(json.loads(request.body))
        return self.costs(request)

    def costs(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond to a request for costs."""
        return self._said(request, 400, "UnknownOperationException", "")

    def throttled(self) -> SimulatedResponse:
        """Return a throttling error in the format of the requested service."""
        request = self._asked_now.request
        if "x-amz-target" in request.headers:
            return self._said(request, 400, "LimitExceededException", "Rate limit exceeded")
        if request.method == "POST":
            return self._said(request, 400, "Throttling", "Rate exceeded")
        return self._said(request, 503, "SlowDown", "Please reduce your request rate.")

    def broken(self) -> SimulatedResponse:
        """Return an internal error in the format of the requested service."""
        return self._said(self._asked_now.request, 500, "InternalError", "We encountered an internal error.")

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of the requested service."""
        request = self._asked_now.request
        if "x-amz-target" in request.headers:
            return json_error(code, said, status=status)
        return self._said(request, status, code, said)

    def _refused(self, request: SimulatedRequest) -> SimulatedResponse | None:
        key = key_id(request)
        secret = {KEY_ID: self.secret, ROLE_KEY_ID: ROLE_SECRET}.get(key)
        is_s3 = request.method != "POST"
        if self.refuses_credential or secret is None:
            code = "InvalidAccessKeyId" if is_s3 else "InvalidClientTokenId"
            code = "UnrecognizedClientException" if "x-amz-target" in request.headers else code
            return self._said(request, 403, code, "The security token included in the request is invalid.")
        if key == ROLE_KEY_ID and request.headers.get("x-amz-security-token") != ROLE_TOKEN:
            return self._said(request, 403, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if not is_signed_with(request, secret):
            return self._said(request, 403, "SignatureDoesNotMatch", "The request signature does not match.")
        return None

    @property
    def _denied(self) -> str:
        return "AccessDenied"

    def _said(self, request: SimulatedRequest, status: int, code: str, message: str) -> SimulatedResponse:
        """Return an error in the format of the requested service."""
        if "x-amz-target" in request.headers:
            return json_error(code, message, status=status if status >= 500 else 400)
        if request.method == "POST":
            about = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            return xml(f"<ErrorResponse>{about}<RequestId>1</RequestId></ErrorResponse>", status)
        return xml_error(status, code, message)

    def _accounts(self, request: SimulatedRequest) -> SimulatedResponse:
        if not self.has_organization:
            return self._said(request, 400, "AWSOrganizationsNotInUseException", "Your account is not a member.")
        names = {resource.sub_account for resource in self.world.scenario.resources}
        accounts = [payer_of(self.world), *(member_of(self.world, name) for name in sorted(names))]
        begin = 0 if self.repeats_pages else int(json.loads(request.body or b"{}").get("NextToken", 0))
        end = begin + min(self.page_size, 20)
        said = {"Accounts": [{"Id": number, "Name": name, "Status": "ACTIVE"} for number, name in accounts[begin:end]]}
        more = {"NextToken": str(end)} if end < len(accounts) else {}
        return SimulatedResponse.of(said | more, headers={"Content-Type": "application/x-amz-json-1.1"})

    def _invoices(self, asked: dict[str, Any]) -> SimulatedResponse:
        payer, month = payer_of(self.world)[0], asked["Filter"]["BillingPeriod"]
        found = invoices_of(
            self.world,
            BillingPeriod(month["Year"], month["Month"]),
            besides=self.extra_items * self.world.quantum,
            taxes_apart=self.taxes_apart,
            late_refunds=self.late_refunds,
        )
        begin = 0 if self.repeats_pages else int(asked.get("NextToken", 0))
        end = begin + min(self.page_size, 100)
        summaries = [
            invoice_summary(one, payer, self.currency)
            for one in found[begin:end]
            if asked["Selector"] == {"ResourceType": "ACCOUNT_ID", "Value": payer}
        ]
        more = {"NextToken": str(end)} if end < len(found) else {}
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return SimulatedResponse.of({"InvoiceSummaries": summaries} | more, headers=headers)

    def _sts(self, request: SimulatedRequest) -> SimulatedResponse:
        asked = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        payer = payer_of(self.world)[0]
        if asked["Action"] == "GetCallerIdentity":
            who = f"<Arn>arn:aws:iam::{payer}:user/costs</Arn><UserId>AIDA1</UserId><Account>{payer}</Account>"
            return _sts_answer("GetCallerIdentity", who)
        allowed = (self.role_arn, self.external_id)
        if asked["Action"] != "AssumeRole" or (asked["RoleArn"], asked.get("ExternalId", "")) != allowed:
            return self._said(request, 403, "AccessDenied", f"not authorized to perform: sts:{asked['Action']}")
        # Use the real clock: the SDK knows no other, and would discard a session that is expired by the real time.
        expires = datetime.now(UTC) + timedelta(hours=1)
        given = (
            f"<AccessKeyId>{ROLE_KEY_ID}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>"
            f"<SessionToken>{ROLE_TOKEN}</SessionToken><Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        )
        return _sts_answer("AssumeRole", f"<Credentials>{given}</Credentials>")


class FocusExport(SimulatedAws):
    """An account that exports FOCUS 1.2 to a bucket; `export` says how.

    Attributes:
        listable: prefix of the keys that the credential may list.
    """

    mode = "focus-export"
    table: ClassVar[str] = "focus"
    renamed_field = "BilledCost"
    lacking_permission = "s3:GetObject"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.export = SimulatedExport(world, TABLES[self.table], BUCKET)
        self.listable = ""

    def settings(self) -> dict[str, str]:
        """Address of the cloud, and location of the export."""
        return super().settings() | {"export": f"s3://{BUCKET}/{FOLDER}"}

    def costs(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond as S3."""
        self.export.extra_items = self.extra_items
        self.export.twice = self.duplicates_lines
        self.export.adds_column = self.adds_unknown_fields
        self.export.renames_column = self.renames_field
        store = ObjectStore(BUCKET, self.export.keys, self.export.read, self.listable)
        return store.answer(request, self.page_size, repeats=self.repeats_pages, adds_unknown=self.adds_unknown_fields)

    def disturbed(self, request: SimulatedRequest, response: SimulatedResponse) -> SimulatedResponse:
        """Return the response as it is: objects have a length and a hash, so the faults are written into their content."""
        return response


class ReportExport(FocusExport):
    """An account that exports the Cost and Usage Report 2.0 to a bucket."""

    mode = "cur-export"
    table = "report"
    renamed_field = "line_item_unblended_cost"


class CostExplorerAlone(SimulatedAws):
    """An account without an export.

    Attributes:
        daily_budget: what its credential may spend a day, in USD.
    """

    mode = "cost-explorer"
    renamed_field = "Amount"
    lacking_permission = "ce:GetCostAndUsage"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.daily_budget = "1000"
        self.page_size = 5000

    def settings(self) -> dict[str, str]:
        """Address of the cloud, and the daily budget: a test may make the pages small, which takes more paid requests."""
        return super().settings() | {"daily_budget": self.daily_budget}

    @property
    def _denied(self) -> str:
        return "AccessDeniedException"

    def disturbed(self, request: SimulatedRequest, response: SimulatedResponse) -> SimulatedResponse:
        """Add an unknown field only where the SDK ignores it: among metrics the SDK would take it for one more metric."""
        if self.adds_unknown_fields:
            body = response.body
            for field in (b"ResultsByTime", b"TimePeriod", b"Keys", b"Amount"):
                body = body.replace(b'{"' + field, b'{"BrandNew":[1,{"a":null}],"' + field)
            return replace(response, body=body)
        return super().disturbed(request, response)

    def costs(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond as Cost Explorer."""
        if request.headers.get("x-amz-target") != "AWSInsightsIndexService.GetCostAndUsage":
            return super().costs(request)
        answers = GroupedCosts(self.world, self.page_size, self.extra_items, self.duplicates_lines, self.repeats_pages)
        return answers.answer(json.loads(request.body))


def _sts_answer(action: str, result: str) -> SimulatedResponse:
    space = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
    return xml(f"<{action}Response {space}><{action}Result>{result}</{action}Result></{action}Response>")
