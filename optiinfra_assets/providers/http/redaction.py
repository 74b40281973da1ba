"""Keeps secrets out of messages: redacts them in texts, and builds the Authorization header without an error that shows the token."""

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
"""A message may not show this many characters of a secret in a row: half of it, a line of a key, the rest after a library cuts it."""
_SHORTEST: Final = 4
"""A shorter text is no secret, and redacting each occurrence of it would reveal it."""
_LONG: Final = 16
"""Shorter words of a key file, such as ``service_account``, reveal nothing and occur in messages anyway."""
_WORDS: Final = re.compile(r"[a-z]+://\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:[a-z]+|\d+)(?:[-_. ](?:[a-z]+|\d+))*")
_NESTED: Final = 3
"""How many times a text may be nested in JSON, or in ``repr``, and still be found."""
_URL_SAFE: Final = str.maketrans("+/", "-_")


def bearer_header(field_name: str, token: str) -> dict[str, str]:
    """Returns the Authorization header for a token.

    Raises:
        CredentialRejected: the token cannot be sent. The HTTP library would refuse it too, but with the token in its message.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialRejected(
            f"{field_name}: not a token: letters, digits and signs without spaces or line ends are accepted"
        )
    return {"Authorization": f"Bearer {token}"}


def redactor(secrets: Iterable[str], shown: Iterable[str] = ()) -> Callable[[str], str]:
    """Returns a function that replaces `secrets` in a text by ``***``: whole or in part, and in the usual encodings.

    If a secret is JSON, such as a key file, the texts in it are secret and the names of its fields are not.

    Args:
        secrets: as given; they are processed only when the function is first called.
        shown: public texts, such as an account's settings; words of a key file that occur in them are not redacted.
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
            # A line of a key may have a space before and after it in the secret and in the text.
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
    """Returns the `redactor` of the secrets of an account."""
    return redactor(map(str, account.secrets.values()), map(str, account.settings.values()))


def _sought(secret: str, public: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yields the texts to look for, and whether only whole: too short ones, and addresses and words, whose parts occur in any text."""
    texts = list(json_texts(secret))
    if not texts:
        yield secret, len(secret) < _PART
        return
    yield secret, True
    for text in texts:
        is_word = _WORDS.fullmatch(text) is not None
        if len(text) >= (_LONG if is_word else _PART) and not (is_word and any(text in one for one in public)):
            yield text, is_word


def json_texts(secret: str) -> Iterator[str]:
    """Yields the texts in a JSON object or list, at any depth; none for anything else."""
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
    """Returns `text` as messages may write it: as it is, in one line, escaped, URL-encoded, in hexadecimal, in base64; no short form."""
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
    ):  # a text has three base64 forms, depending on what precedes it
        encoded = base64.b64encode(bytes(before) + data).decode()[mixed:]
        encoded = encoded[: -1 - encoded.count("=")] if encoded.endswith("=") else encoded
        forms |= {encoded, encoded.translate(_URL_SAFE)}
    return {form for form in forms if len(form) >= _SHORTEST}
