"""Calls of boto3 clients under the policy of all providers: time-outs, our own retries, metering, errors of our tree, no secret in any.

What a provider writes::

    calls = Calls(context, context.meter(), secrets=[key])
    access = Access(calls, region="us-east-1", access_key_id=..., secret_access_key=..., role_arn=...)
    identity = calls(access.client("sts").get_caller_identity, "sts", "sts:GetCallerIdentity")

A service says what was wrong by a code, while its HTTP status is often 400 whatever happened (``LimitExceededException`` of Cost Explorer
above all), so the code decides here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.session import Session

from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    Transient,
)
from optiinfra_assets.providers.context import Context, Meter
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.redaction import hider
from optiinfra_assets.providers.http.retry import Again, patiently, refusal

CONFIG: Final = Config(
    connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1}
)

_REJECTED: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation"}
)
_THROTTLED: Final = frozenset(
    {
        "429",
        "503",  # of an object store in answer to HEAD, which has no body to say SlowDown
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING: Final = frozenset(
    {"InternalFailure", "InvalidNextTokenException", "RequestChangedException", "RequestTimeout"}
)
_NOTHING: Final = frozenset({"AWSOrganizationsNotInUseException", "DataUnavailableException", "NoSuchBucket"})
_WRONG_PLACE: Final = frozenset(
    {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
"""Also what is left of a refusal of HEAD, which has no body."""
_STATUS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_REJECTED, 401),
    **dict.fromkeys(_DENIED, 403),
    **dict.fromkeys(_THROTTLED, 429),
    **dict.fromkeys(_PASSING, 500),
}
"""The status that stands for what a code means."""

_SAID_BY_THE_SDK: Final = (
    BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, AttributeError, TypeError,
)  # fmt: skip
"""The last three come from its parsers, for answers of other kinds than documented."""

T = TypeVar("T")

# What it says of requests when debugging holds their headers, with the id of the key, and whole answers.
logging.getLogger("botocore").setLevel(logging.INFO)


class Calls:
    """Makes calls, counts each attempt, tries again where that may help, and turns the SDK's errors into ours."""

    def __init__(self, context: Context, meter: Meter, *, secrets: Iterable[str] = ()) -> None:
        """Prepare.

        Args:
            context: its clock and its sleep.
            meter: counts every attempt before it is made; may refuse one by raising.
            secrets: what must stand in no message.
        """
        self.context = context
        self.meter = meter
        self.hide = hider(secrets)

    def __call__(self, operation: Callable[[], T], where: str, permission: str) -> T:
        """What `operation`, one request that may be sent more than once, returns.

        Args:
            operation: makes the request.
            where: what is asked, for messages.
            permission: what the credential needs for it, named if it is refused.

        Raises:
            ProviderError: as of `optiinfra_assets.providers.http.retry.refusal`; NothingThere for what does not exist.
        """

        def attempt() -> T:
            self.meter.count()
            try:
                return operation()
            except _SAID_BY_THE_SDK as error:
                raise self._explained(error, where, permission) from None

        return patiently(attempt, self.context.sleep)

    def _explained(self, error: Exception, where: str, permission: str) -> Exception:
        if isinstance(error, ClientError):
            return self._refused(error, where, permission)
        said = self.hide(" ".join(str(error).split()))[:200]
        if isinstance(error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError):
            return CredentialRejected(
                f"{where}: {said}: connect with a key, or set credentials for this process"
            )
        if isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError | OSError):
            return Again(Transient(f"{where}: no answer: {said}; try again later"))
        if isinstance(error, ResponseParserError):
            return Again(Transient(f"{where}: the answer broke off; try again later"))
        if isinstance(error, AttributeError | TypeError):
            return ContractChanged(f"{where}: the answer cannot be read ({said}); {ASK_FOR_UPDATE}")
        return BadData(f"{where}: {said}: check endpoint_url and region")

    def _refused(self, error: ClientError, where: str, permission: str) -> Exception:
        about = error.response.get("Error", {})
        code = str(about.get("Code", ""))
        meta = error.response.get("ResponseMetadata", {})
        said = self.hide(f"{code}: {about.get('Message', '')}".removesuffix(": "))
        if code in _NOTHING:
            return NothingThere(f"{where}: {' '.join(said.split())[:200]}: nothing that is stored is changed")
        if code in _WRONG_PLACE:
            return CredentialRejected(
                f"{where}: refused ({said}): check region and endpoint_url, and whether the credential has expired"
            )
        now = self.context.clock()
        until = retry_after(meta.get("HTTPHeaders", {}), now)
        status = _STATUS.get(code, meta.get("HTTPStatusCode", 0))
        return refusal(status, where, said, permission, until=until, now=now)


@dataclass(slots=True)
class Access:
    """Clients that sign with a key, with a role assumed by it, or with what the default chain of this machine gives.

    Attributes:
        calls: makes the call that assumes the role.
        region: where regional services are asked.
        endpoint_url: address that all services have, or None for their own.
        access_key_id: of a key; None: the default chain.
        role_arn: assumed on top of that; its credentials are renewed as long as they are used.
        external_id: what the role's trust policy asks for, or None.
    """

    calls: Calls
    region: str
    endpoint_url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    role_arn: str | None = None
    external_id: str | None = None
    _session: Session | None = field(default=None, init=False, repr=False)

    def client(self, service: str) -> Any:
        """A client of a service, safe for several threads."""
        if not self.role_arn:
            return self._base_client(service)
        if self._session is None:
            self._session = self._role_session()
        return _client(self._session, service, self.region, self.endpoint_url)

    def _base_client(self, service: str) -> Any:
        if self.access_key_id and self.secret_access_key:
            return _client_of_key(
                service, self.region, self.endpoint_url, self.access_key_id, self.secret_access_key
            )
        return _client(_session(), service, self.region, self.endpoint_url)

    def _role_session(self) -> Session:
        session = _session()
        session.register_component("credential_provider", CredentialResolver([_Role(self._assume)]))
        return session

    def _assume(self) -> dict[str, str]:
        sts = self._base_client("sts")
        asked = {"RoleArn": self.role_arn, "RoleSessionName": "optiinfra"}
        if self.external_id:
            asked["ExternalId"] = self.external_id
        permission = f"sts:AssumeRole on {self.role_arn}, and a trust policy of that role that allows it"
        answer = self.calls(lambda: sts.assume_role(**asked), "sts:AssumeRole", permission)
        given = answer["Credentials"]
        expires: datetime = given["Expiration"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": expires.isoformat(),
        }


class _Role(CredentialProvider):  # type: ignore[misc]
    """Credentials of an assumed role, asked for when they are first needed and again before they expire."""

    METHOD = "assume-role"

    def __init__(self, assume: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._assume = assume

    def load(self) -> DeferredRefreshableCredentials:
        """The credentials."""
        return DeferredRefreshableCredentials(self._assume, self.METHOD)


def _client(session: Session, service: str, region: str, endpoint_url: str | None) -> Any:
    client = session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=CONFIG)
    client.meta.events.register("before-parse", _refuse_broken)
    return client


@lru_cache(maxsize=64)
def _client_of_key(service: str, region: str, endpoint_url: str | None, key_id: str, secret: str) -> Any:
    """Making a client takes 20 ms of CPU, as much as a probe; the last few are kept, with their keys, in the memory of this process."""
    session = _session()
    session.set_credentials(key_id, secret)
    return _client(session, service, region, endpoint_url)


def _session() -> Session:
    session = Session()
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Loader:
    """The descriptions of the services are read once in a process: that takes 0.2 s, and there is a session for every probe."""
    return create_loader()


def _refuse_broken(response_dict: Mapping[str, Any], operation_model: Any, **_: Any) -> None:
    """The SDK takes a JSON answer that broke off for an object without a field, which would be a bill of nothing."""
    body = response_dict["body"]
    kind = response_dict["headers"].get("content-type", "")
    is_answer = (
        response_dict["status_code"] < 300 and "json" in kind and operation_model.http["method"] != "HEAD"
    )
    if is_answer and isinstance(body, bytes) and not body.rstrip().endswith(b"}"):
        raise Again(Transient(f"an answer broke off after {len(body)} bytes; try again later"))
