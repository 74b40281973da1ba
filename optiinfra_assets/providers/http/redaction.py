"""Where credentials may be sent, and where they may not show: addresses, the Authorization header, messages."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from optiinfra_assets.domain.errors import CredentialRejected

if TYPE_CHECKING:
    from optiinfra_assets.domain.accounts import Account

_PART: Final = 8
"""As many characters of a secret in a row are shown by no message: a half, a line of a key, what a library cuts off after."""
_SHORTEST: Final = 4
"""A secret that is shorter is none, and hiding each such piece of a text would tell it."""
_LONG: Final = 16
"""Words of a key file that are shorter, such as ``service_account``, tell nothing, and occur in messages by themselves."""
_WORDS: Final = re.compile(r"[a-z]+://\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:[a-z]+|\d+)(?:[-_. ](?:[a-z]+|\d+))*")
_NESTED: Final = 3
"""How often a text may have been put into JSON, or into ``repr``, one within the other."""
_URL_SAFE: Final = str.maketrans("+/", "-_")


def bearer_header(field_name: str, token: str) -> dict[str, str]:
    """The Authorization header for a token.

    Raises:
        CredentialRejected: the token cannot be sent. The HTTP library would say so too, with the token in its message.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialRejected(
            f"{field_name}: not a token: letters, digits and signs without spaces or line ends are accepted"
        )
    return {"Authorization": f"Bearer {token}"}


def redactor(secrets: Iterable[str], shown: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that replaces `secrets` in a text by ``***``: whole or in part, and as texts are often written elsewhere.

    Of a secret that is JSON, such as a key file, the texts in it are what is secret, and names of its fields are not.

    Args:
        secrets: as they were given; nothing is done with them before the function has work to do.
        shown: what everybody sees anyway, such as an account's settings: words of a key file that stand in there stay.
    """
    given, public = tuple(secrets), tuple(shown)

    @cache
    def sought() -> tuple[frozenset[str], frozenset[str]]:
        found = [one for secret in given for one in _sought(secret, public)]
        wholes = frozenset(form for text, is_word in found if is_word for form in _forms(text))
        others = {form for text, is_word in found if not is_word for form in _forms(text)}
        parts = {form[at : at + _PART] for form in others for at in range(len(form) - _PART + 1)}
        return wholes, frozenset(part for part in parts if not part.isspace())

    def hide(text: str) -> str:
        wholes, parts = sought()
        is_hidden = bytearray(len(text))
        for at in range(len(text) - _PART + 1):
            if text[at : at + _PART] in parts:
                is_hidden[at : at + _PART] = b"1" * _PART
        for found in (found for whole in wholes for found in re.finditer(re.escape(whole), text)):
            is_hidden[found.start() : found.end()] = b"1" * len(found[0])
        pieces, end = [], 0
        for run in re.finditer(b"1+", is_hidden):
            start, stop = run.span()
            hidden = text[start:stop]
            # A line of a key may have a space before and after it in the secret as well as here.
            pieces += [
                text[end:start],
                hidden[: -len(hidden.lstrip())],
                "***",
                hidden[len(hidden.rstrip()) :],
            ]
            end = stop
        return "".join([*pieces, text[end:]])

    return hide


def account_redactor(account: Account) -> Callable[[str], str]:
    """`redactor` of the secrets of an account."""
    return redactor(map(str, account.secrets.values()), map(str, account.settings.values()))


def _sought(secret: str, public: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Texts to look for, and whether only whole: what is too short to be cut, and addresses and words, whose parts are in any text."""
    texts = list(_texts(secret))
    if not texts:
        yield secret, len(secret) < _PART
        return
    yield secret, True
    for text in texts:
        is_word = _WORDS.fullmatch(text) is not None
        if len(text) >= (_LONG if is_word else _PART) and not (is_word and any(text in one for one in public)):
            yield text, is_word


def _texts(secret: str) -> Iterator[str]:
    """The texts in a JSON object or list, at any depth; none in anything else."""
    try:
        held = [json.loads(secret, object_pairs_hook=lambda pairs: [value for _, value in pairs])]
    except (ValueError, RecursionError):
        return
    if not isinstance(held[0], list):
        return
    while held:
        one = held.pop()
        if isinstance(one, list):
            held += one
        elif isinstance(one, str):
            yield one


def _forms(text: str) -> set[str]:
    """`text` as messages write it: as it is, in one line, escaped, in addresses, in hexadecimal, and within base64; none that is short."""
    data = text.encode(errors="replace")
    forms = {text, repr(text)[1:-1], " ".join(text.split()), "".join(text.split()), data.hex()}
    forms |= {quote(data, safe=""), quote(data), quote_plus(data)}
    escaped = text
    for _ in range(_NESTED):
        escaped = json.dumps(escaped)[1:-1]
        forms.add(escaped)
    for before, mixed in (
        (0, 0),
        (1, 2),
        (2, 3),
    ):  # in base64 a text looks in three ways, by what stands before it
        encoded = base64.b64encode(bytes(before) + data).decode()[mixed:]
        encoded = encoded[: -1 - encoded.count("=")] if encoded.endswith("=") else encoded
        forms |= {encoded, encoded.translate(_URL_SAFE)}
    return {form for form in forms if len(form) >= _SHORTEST}
