"""Says in plain words what went wrong between this machine and a provider, the same for our client and for every vendor's.

A proxy's page, a cut-off body, a certificate, a name that is not known or a wrong clock look different in each vendor's client. Here each
has one meaning, one class of error and one remedy.
"""

from __future__ import annotations

import re
from typing import Final

from optiinfra_assets.domain.errors import CredentialRejected, Transient, Unreachable

_PAGE: Final = re.compile(
    r"\s*(\ufeff)?(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b", re.I | re.S
)
_CLOCK: Final = re.compile(
    r"RequestTimeTooSkewed|RequestExpired|Signature (expired|not yet current)|RequestInTheFuture|iat and exp|reasonable timeframe"
    r"|not (yet valid|valid yet)|within its valid time range|AADSTS(700024|500133|50013)\b|clock|time ?stamp.*(skew|too (old|far))"
    r"|date (header|in the request) is too (old|new)",
    re.I,
)
_NAME: Final = re.compile(
    r"name or service not known|name resolution|failed to resolve|could not resolve|getaddrinfo|nodename nor servname"
    r"|no address associated",
    re.I,
)
_UNTRUSTED: Final = re.compile(
    r"certificate.verify.failed|self.signed|unable to get (local )?issuer|hostname mismatch", re.I
)
_TLS: Final = re.compile(r"\bssl\b|\btls\b|certificate", re.I)

FROM_BEHIND_A_PAGE: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses whose meaning is clear, also if a page for people comes with them."""


def is_web_page(body: bytes | str) -> bool:
    """Whether a body begins as a page for people does, with which proxies, sign-in pages and firewalls answer."""
    text = body[:2_000].decode(errors="replace") if isinstance(body, bytes) else body[:2_000]
    return _PAGE.match(text) is not None


def web_page(where: str) -> Unreachable:
    """Return the error for a page for people in the place of data."""
    return Unreachable(
        f"{where}: a web page came in place of data: a proxy, a firewall or a sign-in page answers for the provider; "
        "check the network of this machine and endpoint_url; try again later"
    )


def broken_off(where: str) -> Transient:
    """Return the error for a body that is empty or ends too early."""
    return Transient(f"{where}: the answer is empty or broke off; try again later")


def not_theirs(where: str) -> Unreachable:
    """Return the error for a success that is not an answer of the provider's service: it lacks what each of them has."""
    return Unreachable(
        f"{where}: the answer is not that of the provider: a proxy may answer in its place; check endpoint_url and the network of this "
        "machine; try again later"
    )


def no_answer(where: str, said: str) -> Unreachable:
    """Return the error for a request without an answer; `said` is what the client says, without secrets."""
    if _CLOCK.search(said) and _TLS.search(said):
        remedy = "the server's certificate is not valid yet: check this machine's clock"
    elif _NAME.search(said):
        remedy = "the name of the server is not known here: check endpoint_url and the DNS of this machine"
    elif _UNTRUSTED.search(said):
        remedy = "the server's certificate is not trusted here: a proxy may stand in between; let this machine trust its certificate"
    elif _TLS.search(said):
        remedy = "no secure connection comes about: check endpoint_url, and whether a proxy stands in between"
    else:
        remedy = "try again later"
    return Unreachable(f"{where}: no answer: {said}; {remedy}")


def clock_error(where: str, said: str) -> CredentialRejected | None:
    """Return the error for a refusal because of the time that a request states; None if `said` does not say so."""
    if not _CLOCK.search(said):
        return None
    return CredentialRejected(
        f"{where}: refused ({said}): check this machine's clock: the provider does not accept the time that the request states"
    )
