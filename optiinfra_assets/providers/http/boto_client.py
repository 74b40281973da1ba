"""Makes boto3 requests under the policy of all providers: time-outs, our own retries, metering, our error classes, redaction.

A provider writes::

    calls = BotoCalls(context, context.meter(), secrets=[key])
    client = kept_client("s3", "us-east-1", endpoint_url, profile=profile)
    page = calls(lambda: client.list_objects_v2(Bucket="costs"), "s3://costs", "s3:ListBucket on arn:aws:s3:::costs")

A service reports an error by a code, and its HTTP status is often 400 for any error, so this module decides by the code.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, Final, NoReturn, TypeVar

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.session import Session
from botocore.utils import get_environ_proxies

from optiinfra_assets.domain.errors import BadData, ContractChanged, CredentialRejected
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.answer_check import checked_body
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import RetryableError, error_for_status, refusal_in, with_retries
from optiinfra_assets.providers.http.translation import broken_off, clock_error, no_answer
from optiinfra_assets.providers.http.urllib3_transport import Guarded, GuardedTls
from optiinfra_assets.providers.network_policy import EVERYWHERE, NOT_LENT, NetworkPolicy

CONFIG: Final = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1})

_MEANINGS: Final[Mapping[int, str]] = {
    401: """AuthFailure ExpiredToken ExpiredTokenException IncompleteSignature InvalidAccessKeyId InvalidClientTokenId
        InvalidSignatureException InvalidToken MissingAuthenticationToken SignatureDoesNotMatch UnrecognizedClientException""",
    403: "403 AccessDenied AccessDeniedException AccountProblem AllAccessDisabled UnauthorizedAccess UnauthorizedOperation",
    429: """429 503 BandwidthLimitExceeded LimitExceededException RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown
        ThrottledException Throttling ThrottlingException TooManyRequestsException""",
    500: "InternalFailure InvalidNextTokenException RequestChangedException RequestTimeout",
}
"""HTTP status -> codes that mean the same. An error of HEAD has no body, so it leaves only 403, 429 or 503 as the code."""
_STATUS: Final = {code: status for status, codes in _MEANINGS.items() for code in codes.split()}
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "UnauthorizedSSOTokenError"})
_WRONG_PLACE: Final = frozenset(
    {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
"""HEAD, too, gives 301 and 400."""

_NO_CREDENTIALS: Final = (
    ConfigParseError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, ProfileNotFound, SSOError, TokenRetrievalError,
)  # fmt: skip
_SAID_BY_THE_SDK: Final = (
    BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, AttributeError, TypeError,
)  # fmt: skip
"""The last three come from the SDK's parsers, for a response of another type than documented."""

T = TypeVar("T")
Explain = Callable[[str, str], Exception | None]
"""From an error's code, and its code and message in one line: the error to raise instead of the usual one, or None."""

_sent: ContextVar[tuple[str, ...]] = ContextVar("_sent", default=())
"""Headers that authenticated the last request: only they have a default chain's token, and a proxy may repeat it in its response."""

# At debug level botocore logs request headers, with the id of the key, and whole responses.
logging.getLogger("botocore").setLevel(logging.INFO)


class BotoCalls:
    """Makes SDK calls: counts each attempt, retries where that may help, and converts the SDK's errors to ours."""

    def __init__(self, context: ProviderContext, meter: Meter, *, secrets: Iterable[str] = ()) -> None:
        """Stores the arguments.

        Args:
            context: gives the clock and the sleep.
            meter: counts every attempt before it is made; may refuse one by raising an error.
            secrets: values that no message may contain, in addition to the headers of the requests.
        """
        self.context = context
        self.meter = meter
        self._secrets = tuple(secrets)

    def hide(self, text: str) -> str:
        """Returns `text` with secrets redacted."""
        return redactor((*self._secrets, *_sent.get()))(text)

    def __call__(
        self,
        operation: Callable[[], T],
        where: str,
        permission: str,
        *,
        explain: Explain = lambda code, said: None,
    ) -> T:
        """Returns what `operation` returns. `operation` makes one request that may be sent more than once.

        Args:
            operation: makes the request.
            where: what is requested, for messages.
            permission: permission that the credential needs; the error names it if the service refuses.
            explain: returns the error for a code that means something else than usual, or None.

        Raises:
            ProviderError: as `optiinfra_assets.providers.http.retry.error_for_status`, unless `explain` returns another error.
        """

        def attempt() -> T:
            self.meter.count()
            try:
                return operation()
            except ClientError as error:
                raise self._refused(error, where, permission, explain) from None
            except _SAID_BY_THE_SDK as error:
                raise (refusal_in(error) or self._failed(error, where)) from None

        return with_retries(attempt, self.context, where)

    def make(self, make: Callable[[], T], where: str) -> T:
        """Returns what `make` makes without a request, such as a client; converts the SDK's errors as a call does."""
        try:
            return make()
        except _SAID_BY_THE_SDK as error:
            failed = self._failed(error, where)
            raise (failed.error if isinstance(failed, RetryableError) else failed) from None

    def _failed(self, error: Exception, where: str) -> Exception:
        said = self.context.network.quoted(self.hide(" ".join(str(error).split()))[:200])
        if isinstance(error, _NO_CREDENTIALS):
            return CredentialRejected(
                f"{where}: {said}: connect with a key, set credentials for this process, name a profile that exists, or sign in again "
                "(aws sso login)"
            )
        if isinstance(error, IncompleteReadError | ResponseParserError):
            return RetryableError(broken_off(where))
        if isinstance(error, OSError) and error.filename:
            return CredentialRejected(f"{where}: {said}: check the files that the credential of this machine names")
        if isinstance(error, ConnectionError | HTTPClientError | OSError):
            return RetryableError(no_answer(where, said))
        if isinstance(error, AttributeError | TypeError):
            return ContractChanged(f"{where}: the answer cannot be read ({said}); {ASK_FOR_UPDATE}")
        return BadData(f"{where}: {said}: check the address, region and endpoint_url")

    def _refused(self, error: ClientError, where: str, permission: str, explain: Explain) -> Exception:
        about = error.response.get("Error", {})
        code, message = str(about.get("Code", "")), str(about.get("Message") or "")
        said = self.context.network.quoted(" ".join(self.hide(f"{code}: {message}".removesuffix(": ")).split())[:200])
        explained = explain(code, said)
        if explained:
            return explained
        clock = clock_error(where, said)
        if clock is not None:
            return clock
        if code in _WRONG_PLACE:
            return CredentialRejected(
                f"{where}: refused ({said}): check region and endpoint_url, and whether the credential has expired"
            )
        if code in _EXPIRED:
            # Whoever signs in anew changes files that a kept client has read already.
            kept_client.cache_clear()
            return CredentialRejected(
                f"{where}: the credential has expired ({said}): sign in again (aws sso login), or renew key and session token; it needs: "
                f"{permission}"
            )
        meta = error.response.get("ResponseMetadata", {})
        now = self.context.clock()
        until = retry_after(meta.get("HTTPHeaders", {}), now)
        status = _STATUS.get(code, meta.get("HTTPStatusCode", 0))
        advice = f"check region and endpoint_url; if they are right, {ASK_FOR_UPDATE}"
        return error_for_status(status, where, said, permission, until=until, now=now, advice=advice)


class _NotLent(CredentialProvider):  # type: ignore[misc]
    """Stands in the place of this machine's default chain, where that is not lent."""

    METHOD = "not-lent"

    def load(self) -> NoReturn:
        """Raises CredentialRejected."""
        raise CredentialRejected(
            f"no credential: {NOT_LENT}: connect with a key of your own, at an address of the provider"
        )


def new_session(profile: str | None = None, *, network: NetworkPolicy) -> Session:
    """Returns a session with this machine's default chain, as far as `network` lends it.

    Other credentials must be set before the session makes its first client.
    """
    session = Session(profile=profile)
    session.register_component("data_loader", _loader())
    if not network.lends_rights:
        session.register_component("credential_provider", CredentialResolver([_NotLent()]))
    return session


def new_client(session: Session, service: str, region: str | None, endpoint_url: str | None) -> Any:
    """Returns a client of a service that several threads may share and that never retries by itself.

    Args:
        session: gives the credentials.
        service: the SDK's name of the service, such as ``s3``.
        region: region; None for the machine's.
        endpoint_url: address; None for the service's own.

    Raises:
        BadData: the SDK does not accept the region or the address.
    """
    try:
        client = session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=CONFIG)
    except ValueError as error:
        raise BadData(f"{service}: {error}: check the region and the endpoint_url") from None
    client.meta.events.register("before-send", _note_sent)
    client.meta.events.register("before-send", _sender(session, client.meta.endpoint_url))
    client.meta.events.register("before-parse", _check_answer)
    return client


@lru_cache(maxsize=64)
def kept_client(
    service: str,
    region: str | None,
    endpoint_url: str | None,
    *,
    profile: str | None = None,
    key_id: str | None = None,
    secret: str | None = None,
    network: NetworkPolicy = EVERYWHERE,
) -> Any:
    """Returns a client as `new_client` does, for a key, a profile or the default chain, from a cache.

    `network` is that of the calls: a client keeps connections open, and what one call may reach, another may not.

    To make a client takes 20 ms of CPU, as much as a probe. The cache keeps the last 64, with their keys, in the memory of this process.
    """
    session = new_session(profile, network=network)
    if key_id and secret:
        session.set_credentials(key_id, secret)
    return new_client(session, service, region, endpoint_url)


def _sender(session: Session, address: str) -> Callable[..., Any]:
    """Returns a handler that sends a request in the SDK's place, over guarded connections, with the SDK's own settings."""
    trusted = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE", True)
    sender = _GuardedSession(
        verify=trusted,
        proxies=get_environ_proxies(address),
        timeout=(CONFIG.connect_timeout, CONFIG.read_timeout),
    )
    return lambda request, **_: sender.send(request)


class _Plain(Guarded, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _Tls(GuardedTls, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _PlainPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Plain


class _TlsPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Tls


class _GuardedSession(URLLib3Session):  # type: ignore[misc]
    """The SDK's own session, with pools of guarded connections.

    Head and body of a request are two packets: without the option that urllib3 sets for everybody else, the second waits 40 ms until
    the server has acknowledged the first.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(socket_options=AWSHTTPConnection.default_socket_options, **options)
        self._pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme


@cache
def _loader() -> Loader:
    """Returns the loader of service descriptions, one for each process: reading them takes 0.2 s, and every probe has a session."""
    return create_loader()


def _note_sent(request: Any, **_: Any) -> None:
    # Of the Authorization header only the signature is secret: its other words stand in every message about signatures.
    token, authorization = (_text(request.headers.get(name)) for name in ("X-Amz-Security-Token", "Authorization"))
    _sent.set(tuple(one for one in (token, authorization.rpartition("Signature=")[2]) if one))


def _text(header: str | bytes | None) -> str:
    return header.decode() if isinstance(header, bytes) else header or ""


def _check_answer(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """Raises an error for a broken response: the SDK takes cut-off JSON or a proxy's page for an empty object, so for an empty bill."""
    body, headers = response_dict["body"], response_dict["headers"]
    if operation_model.name == "HeadBucket" and "x-amz-bucket-region" not in headers:
        # The SDK sends HeadBucket by itself when redirected, and would repeat it forever if that is redirected too. This error stops it.
        raise ClientError({"ResponseMetadata": {"HTTPHeaders": {}}}, operation_model.name)
    if isinstance(body, bytes):
        response_dict["body"] = checked_body(
            body,
            operation_model.name,
            method=operation_model.http["method"],
            status=response_dict["status_code"],
            kind=headers.get("content-type", ""),
        )
