"""Requests of boto3 clients under the policy of all providers: time-outs, our own retries, metering, errors of our tree, no secret in any.

What a provider writes::

    calls = Calls(context, context.meter(), secrets=[key])
    client = kept_client("s3", "us-east-1", endpoint_url, profile=profile)
    page = calls(lambda: client.list_objects_v2(Bucket="costs"), "s3://costs", "s3:ListBucket on arn:aws:s3:::costs")

A service says what was wrong by a code, while its HTTP status is often 400 whatever happened, so the code decides here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.session import Session

from optiinfra_assets.domain.errors import BadData, ContractChanged, CredentialRejected, Transient
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import RetryableError, error_for_status, with_retries

CONFIG: Final = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1})

_MEANINGS: Final[Mapping[int, str]] = {
    401: """AuthFailure ExpiredToken ExpiredTokenException IncompleteSignature InvalidAccessKeyId InvalidClientTokenId
        InvalidSignatureException InvalidToken MissingAuthenticationToken SignatureDoesNotMatch UnrecognizedClientException""",
    403: "403 AccessDenied AccessDeniedException AccountProblem AllAccessDisabled UnauthorizedAccess UnauthorizedOperation",
    429: """429 503 BandwidthLimitExceeded LimitExceededException RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown
        ThrottledException Throttling ThrottlingException TooManyRequestsException""",
    500: "InternalFailure InvalidNextTokenException RequestChangedException RequestTimeout",
}
"""The status that stands for what each code means; 403, 429 and 503 are all that is left of a refusal of HEAD, which has no body."""
_STATUS: Final = {code: status for status, codes in _MEANINGS.items() for code in codes.split()}
_WRONG_CLOCK: Final = (
    "RequestExpired", "RequestTimeTooSkewed", "Signature expired", "Signature not yet current",
)  # fmt: skip
"""Codes, and beginnings of what is said with the code of a wrong signature."""
_WRONG_PLACE: Final = frozenset(
    {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
"""301 and 400 are of HEAD too."""

_NO_CREDENTIALS: Final = (
    NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError,
)  # fmt: skip
_SAID_BY_THE_SDK: Final = (
    BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, AttributeError, TypeError,
)  # fmt: skip
"""The last three come from its parsers, for answers of other kinds than documented."""

T = TypeVar("T")
Explain = Callable[[str, str], Exception | None]
"""From the code of a refusal, and code and message in one line: what to raise, where that is another error than usual."""

_sent: ContextVar[tuple[str, ...]] = ContextVar("_sent", default=())
"""What proved the identity in the last request: a default chain's token is known to nobody else, and a proxy may show it in its answer."""

# What it says of requests when debugging holds their headers, with the id of the key, and whole answers.
logging.getLogger("botocore").setLevel(logging.INFO)


class BotoCalls:
    """Makes calls, counts each attempt, tries again where that may help, and turns the SDK's errors into ours."""

    def __init__(self, context: ProviderContext, meter: Meter, *, secrets: Iterable[str] = ()) -> None:
        """Prepare.

        Args:
            context: its clock and its sleep.
            meter: counts every attempt before it is made; may refuse one by raising.
            secrets: what must stand in no message, beside what the requests carry.
        """
        self.context = context
        self.meter = meter
        self._secrets = tuple(secrets)

    def hide(self, text: str) -> str:
        """`text` without secrets."""
        return redactor((*self._secrets, *_sent.get()))(text)

    def __call__(
        self,
        operation: Callable[[], T],
        where: str,
        permission: str,
        *,
        explain: Explain = lambda code, said: None,
    ) -> T:
        """What `operation` returns: one request that may be sent more than once.

        Args:
            operation: makes the request.
            where: what is asked, for messages.
            permission: what the credential needs for it, named if it is refused.
            explain: tells of refusals that mean something else than usual.

        Raises:
            ProviderError: as of `optiinfra_assets.providers.http.retry.error_for_status`, but for `explain`.
        """

        def attempt() -> T:
            self.meter.count()
            try:
                return operation()
            except ClientError as error:
                raise self._refused(error, where, permission, explain) from None
            except _SAID_BY_THE_SDK as error:
                raise self._failed(error, where) from None

        return with_retries(attempt, self.context.sleep)

    def _failed(self, error: Exception, where: str) -> Exception:
        said = self.hide(" ".join(str(error).split()))[:200]
        if isinstance(error, _NO_CREDENTIALS):
            return CredentialRejected(
                f"{where}: {said}: connect with a key or a profile, or set credentials for this process"
            )
        if isinstance(error, IncompleteReadError | ResponseParserError):
            return RetryableError(Transient(f"{where}: the answer broke off; try again later"))
        if isinstance(error, ConnectionError | HTTPClientError | OSError):
            return RetryableError(Transient(f"{where}: no answer: {said}; try again later"))
        if isinstance(error, AttributeError | TypeError):
            return ContractChanged(f"{where}: the answer cannot be read ({said}); {ASK_FOR_UPDATE}")
        return BadData(f"{where}: {said}: check the address, region and endpoint_url")

    def _refused(self, error: ClientError, where: str, permission: str, explain: Explain) -> Exception:
        about = error.response.get("Error", {})
        code, message = str(about.get("Code", "")), str(about.get("Message") or "")
        said = " ".join(self.hide(f"{code}: {message}".removesuffix(": ")).split())[:200]
        explained = explain(code, said)
        if explained:
            return explained
        if code in _WRONG_CLOCK or message.startswith(_WRONG_CLOCK):
            return CredentialRejected(
                f"{where}: refused ({said}): set the clock of this machine, whose time the signature of a request holds"
            )
        if code in _WRONG_PLACE:
            return CredentialRejected(
                f"{where}: refused ({said}): check region and endpoint_url, and whether the credential has expired"
            )
        meta = error.response.get("ResponseMetadata", {})
        now = self.context.clock()
        until = retry_after(meta.get("HTTPHeaders", {}), now)
        status = _STATUS.get(code, meta.get("HTTPStatusCode", 0))
        advice = f"check region and endpoint_url; if they are right, {ASK_FOR_UPDATE}"
        return error_for_status(status, where, said, permission, until=until, now=now, advice=advice)


def new_session(profile: str | None = None) -> Session:
    """A session with the default chain of this machine; it has to be given another way to credentials before its first client."""
    session = Session(profile=profile)
    session.register_component("data_loader", _loader())
    return session


def new_client(session: Session, service: str, region: str | None, endpoint_url: str | None) -> Any:
    """A client of a service, safe for several threads, that never tries again by itself.

    Args:
        session: gives the credentials.
        service: in the SDK's words, such as ``s3``.
        region: None: that of the machine.
        endpoint_url: None: the service's own address.
    """
    client = session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=CONFIG)
    client.meta.events.register("before-send", _note_sent)
    client.meta.events.register("before-parse", _refuse_broken)
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
) -> Any:
    """As `new_client`, of a key, of a profile or of the default chain.

    Making a client takes 20 ms of CPU, as much as a probe; the last few are kept, with their keys, in the memory of this process.
    """
    session = new_session(profile)
    if key_id and secret:
        session.set_credentials(key_id, secret)
    return new_client(session, service, region, endpoint_url)


@cache
def _loader() -> Loader:
    """The descriptions of the services are read once in a process: that takes 0.2 s, and there is a session for every probe."""
    return create_loader()


def _note_sent(request: Any, **_: Any) -> None:
    carried = (request.headers.get(name) for name in ("X-Amz-Security-Token", "Authorization"))
    _sent.set(tuple(one.decode() if isinstance(one, bytes) else one for one in carried if one))


def _refuse_broken(response_dict: Mapping[str, Any], operation_model: Any, **_: Any) -> None:
    """The SDK takes a JSON answer that broke off, or a page of a proxy, for an object without a field, which would be a bill of nothing."""
    body, headers = response_dict["body"], response_dict["headers"]
    if operation_model.name == "HeadBucket" and "x-amz-bucket-region" not in headers:
        # What the SDK asks by itself where it is redirected, and would ask for ever where that is redirected too. It goes by this error.
        raise ClientError({"ResponseMetadata": {"HTTPHeaders": {}}}, operation_model.name)
    if response_dict["status_code"] >= 300 or not isinstance(body, bytes):
        return
    if body.lstrip()[:14].lower().startswith((b"<html", b"<!doctype html")):
        raise ContractChanged(
            f"{operation_model.name}: data were expected, not a web page: check endpoint_url, and whether a proxy answers in its place"
        )
    if (
        "json" in headers.get("content-type", "")
        and operation_model.http["method"] != "HEAD"
        and not body.rstrip().endswith(b"}")
    ):
        raise RetryableError(Transient(f"an answer broke off after {len(body)} bytes; try again later"))
