"""The GraphQL input types for credentials, generated from the providers' credential models.

Each input has one field for each registered provider, and the caller sends exactly one. So every registered provider is in the API, with
the names, help and rules of its model; no code here names a provider.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import strawberry
from pydantic.fields import FieldInfo
from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.access.credential_service import CredentialValues
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Provider

_PLAIN: Final = (str, int, bool)
"""Types that GraphQL has too; all others of a model are sent as strings, which the model parses."""


def _type_of(annotation: Any) -> Any:
    """The GraphQL input type for a field of a model, without its nullability."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [_type_of(part) for part in get_args(annotation) if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    if get_origin(annotation) is Annotated:
        return _type_of(get_args(annotation)[0])
    if get_origin(annotation) in (list, tuple, set, frozenset):
        return list[_type_of(get_args(annotation)[0])]  # type: ignore[misc] # a type made at run time
    return annotation if annotation in _PLAIN else str


def _help_of(field: FieldInfo, *, is_secret: bool) -> str:
    parts = [
        "Secret: it is stored encrypted, and no query answers it." if is_secret else "",
        field.description or "",
    ]
    if choices := _choices_of(field.annotation):
        parts.append(f"One of {', '.join(choices)}.")
    if isinstance(field.default, str | int) and field.default != "":
        parts.append(f"Default: {str(field.default).lower() if field.default in (True, False) else field.default}.")
    return " ".join(part for part in parts if part)


def _choices_of(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(one.value) for one in annotation]
    return [value for part in get_args(annotation) for value in _choices_of(part)]


def _input(name: str, description: str, fields: dict[str, tuple[Any, str, bool]], *, one_of: bool = False) -> type:
    """Make a Strawberry input from `fields`: name -> (type, help, whether it must be sent)."""
    members: dict[str, Any] = {"__annotations__": {}}
    for field, (kind, text, is_required) in fields.items():
        members["__annotations__"][field] = kind if is_required else kind | None
        unless = {} if is_required else {"default": strawberry.UNSET}
        members[field] = strawberry.field(description=text, **unless)
    return strawberry.input(type(name, (), members), name=name, description=description, one_of=one_of)


def _of_provider(provider: Provider, what: str, names: Iterable[str], *, all_optional: bool = False) -> type:
    model, secret = provider.credential_model, provider.secret_fields()
    fields = {
        name: (
            _type_of(field.annotation),
            _help_of(field, is_secret=name in secret),
            field.is_required() and not all_optional,
        )
        for name, field in model.model_fields.items()
        if name in names
    }
    about = " ".join((model.__doc__ or "").split())
    return _input(f"{provider.name.title()}{what}Input", f"{provider.title}. {about}".strip(), fields)


def _choice(
    what: str, description: str, choose: Callable[[Provider], Iterable[str]], *, all_optional: bool = False
) -> Any:
    """Make the input with one field for each provider for which `choose` returns any field names."""
    fields: dict[str, tuple[Any, str, bool]] = {}
    for provider in PROVIDERS.values():
        if names := frozenset(choose(provider)):
            made = _of_provider(provider, what, names, all_optional=all_optional)
            fields[provider.name] = (made, f"For {provider.title}.", False)
    return _input(f"{what}Input", f"{description} Exactly one field is sent.", fields, one_of=True)


def _all(provider: Provider) -> Iterable[str]:
    return provider.credential_model.model_fields.keys()


def _settings(provider: Provider) -> Iterable[str]:
    return provider.credential_model.model_fields.keys() - provider.secret_fields()


def _secrets(provider: Provider) -> Iterable[str]:
    return provider.secret_fields()


if TYPE_CHECKING:
    CredentialInput: TypeAlias = Any
    SettingsInput: TypeAlias = Any
    SecretsInput: TypeAlias = Any
else:
    CredentialInput = _choice("Credential", "What reaches one billing account, by provider.", _all)
    SettingsInput = _choice(
        "Settings",
        "Settings that are to change, by provider. Those left out stay; null gives a setting its default again.",
        _settings,
        all_optional=True,
    )
    SecretsInput = _choice(
        "Secrets",
        "The new secret, by provider. It replaces all secret fields together.",
        _secrets,
    )


def credential_values(sent: Any) -> CredentialValues:
    """The provider and the values that the caller sent in one of these inputs."""
    ((provider, fields),) = _sent(sent).items()
    return CredentialValues(provider, _sent(fields))


def has_secrets(provider: str) -> bool:
    """Whether accounts of a provider have a secret; False for a provider that is not registered any more."""
    return provider in PROVIDERS and bool(PROVIDERS[provider].secret_fields())


def name_of(field: str) -> str:
    """The name that a field of a model has in these inputs and in answers."""
    return to_camel_case(field)


def _sent(value: Any) -> dict[str, Any]:
    return {name: one for name, one in vars(value).items() if one is not strawberry.UNSET}
