"""Walks the whole schema as a customer that must learn nothing of another one: not what it has, not even that it exists.

The operations are made from the schema, so that a field, an argument or an input field that is new is walked by itself, or fails the
walk with the line to add. What has to be added, all of it in `VALUES` (or in `MUTATION_ROLES`, `QUERY_ROLES` of the test):

- an argument that names nothing of a customer, such as a size or a choice: ``Same(value)``, a value that is accepted;
- an argument that names something of a customer, such as an id: ``Names(of, nobody)``: `of` takes the planted customer (`Planted`) to
  the value that names something it has; `nobody` is a value of the same form that names nothing;
- an argument of which nothing is worth trying: ``LEFT_OUT``;
- an argument that continues a page: ``Cursor()``; the walk gets the planted customer's own and makes one of nobody's.

The key is ``ServerUser.argument``, where the owner is a field (``tokens.customerId``), an input type (``CostFilter.account``) or a tool of
/mcp (``find_values.search``, or ``tool.limit`` for all of them), or the name of the argument alone where it means the same everywhere.
Whatever is planted for the other customer contains `MARK`, or is put into `Planted.secrets`; then finding it in an answer is finding a
leak."""

from __future__ import annotations

import base64
import binascii
import copy
import importlib
import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)
from starlette.routing import BaseRoute, Route

from optiinfra_api.fields import pagination

MARK = "zqleak"
"""In everything planted for the customer that the other one must not learn of."""

_VOLATILE = {
    "milliseconds",
    "correlationId",
    "lastUsedAt",
    "overrideId",
    "madeAt",
    "forecastMadeAt",
    "createdAt",
    "changedAt",
    "setAt",
}
_CORRELATION = re.compile(r"\b[0-9a-f]{32}\b")
_DEPTH = 7
_LEFT_OUT = object()


@dataclass(slots=True)
class Planted:
    """The customer that is to be learned of.

    Attributes:
        customer_id: contains `MARK`.
        account_id: one that it has.
        task_id: one that it has.
        token_id: one that it has.
        view_id: one that it has.
        rule_id: one that it has.
        channel_id: one that it has.
        delivery_id: one that it has.
        override_id: one that it has.
        budget_id: one that it has.
        anomaly_id: one that it has.
        admin: its administrator's token, to read what there is to be learned.
        secrets: what is its own and does not contain `MARK`: generated ids, numbers.
    """

    customer_id: str
    account_id: str
    task_id: str
    token_id: str
    view_id: str
    rule_id: str
    channel_id: str
    delivery_id: str
    override_id: str
    budget_id: str
    anomaly_id: str
    admin: str
    secrets: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Same:
    """An argument that names nothing of a customer, with a value that is accepted."""

    value: Any


@dataclass(frozen=True, slots=True)
class Names:
    """An argument that names something of a customer."""

    of: Callable[[Planted], Any]
    nobody: Any


@dataclass(frozen=True, slots=True)
class Cursor:
    """The argument that continues a page."""


LEFT_OUT = Same(_LEFT_OUT)

VALUES: dict[str, Same | Names | Cursor] = {
    "customerId": Names(lambda planted: planted.customer_id, "zqnone-customer"),
    "first": Same(pagination.MAX_FIRST),
    "after": Cursor(),
    "days": Same(31),
    "asOf": LEFT_OUT,
    "costBasis": Same("BILLED"),
    "displayCurrency": Same("CHF"),
    "period": Same({"start": "2026-10-01", "end": "2026-11-01"}),
    "granularity": Same("DAILY"),
    "groupBy": Same(["SERVICE", "ACCOUNT"]),
    "groupByTag": Same("team"),
    "groupByTags": Same(["team", "stage"]),
    "ignoreTagCase": Same(True),
    "orderBy": Same("BY_NAME"),
    "limit": Same(3),
    "costsByBillingPeriod.filter": Names(
        lambda planted: {"account": [planted.account_id]}, {"account": ["zqnone-customer.main"]}
    ),
    "costsByBillingPeriod.from": Same("2026-10"),
    "costsByBillingPeriod.to": Same("2026-10"),
    "with": Same({"start": "2026-09-01", "end": "2026-10-01"}),
    "CostFilter.account": Names(lambda planted: [planted.account_id], ["zqnone-customer.main"]),
    "CostFilter.provider": Names(lambda _: [f"{MARK}-provider"], ["zqnone-provider"]),
    "CostFilter.subAccount": Names(lambda _: [f"{MARK}-sub-account"], ["zqnone-sub-account"]),
    "CostFilter.service": Names(lambda _: [f"{MARK}-service"], ["zqnone-service"]),
    "CostFilter.region": Names(lambda _: [f"{MARK}-region"], ["zqnone-region"]),
    "CostFilter.chargeCategory": Same(["Usage"]),
    "CostFilter.currency": Same(["USD"]),
    "CostFilter.tag": Names(
        lambda _: {"key": "team", "values": [f"{MARK}-team"]}, {"key": "team", "values": ["zqnone-team"]}
    ),
    "CostFilter.tags": Names(
        lambda _: [{"key": "TEAM", "values": [f"{MARK}-team"], "ignoreCase": True}],
        [{"key": "TEAM", "values": ["zqnone-team"], "ignoreCase": True}],
    ),
    "CostFilter.serviceProvider": Names(lambda _: [f"{MARK}-service-provider"], ["zqnone-service-provider"]),
    "CostFilter.serviceCategory": Names(lambda _: [f"{MARK}-service-category"], ["zqnone-service-category"]),
    "CostFilter.invoice": Names(lambda _: [f"{MARK}-invoice"], ["zqnone-invoice"]),
    "CostFilter.billingPeriod": Same(["2026-10"]),
    "CostFilter.sku": Names(lambda _: [f"{MARK}-sku"], ["zqnone-sku"]),
    "CostFilter.pricingCategory": Names(lambda _: [f"{MARK}-pricing-category"], ["zqnone-pricing-category"]),
    "CostFilter.commitment": Names(lambda _: [f"{MARK}-commitment"], ["zqnone-commitment"]),
    "latestCosts.filter": Names(
        lambda planted: {"account": [planted.account_id]}, {"account": ["zqnone-customer.main"]}
    ),
    "provider": Names(lambda _: f"{MARK}-provider", "zqnone-provider"),
    "account": Names(lambda planted: planted.account_id, "zqnone-customer.main"),
    "billingPeriod": Same("2026-10"),
    "status": LEFT_OUT,
    "fromMonth": Same("2026-10"),
    "toMonth": Same("2026-10"),
    "month": Same("2026-10"),
    "recordInvoice.account": Names(lambda planted: planted.account_id, "zqnone-customer.main"),
    "RecordedInvoice.invoiceId": Same("zq-invoice"),
    "RecordedInvoice.issuer": Same("zq-issuer"),
    "RecordedInvoice.currency": Same("USD"),
    "RecordedInvoice.total": Same("1.00"),
    "RecordedInvoice.tax": LEFT_OUT,
    "RecordedInvoice.document": LEFT_OUT,
    "RecordedInvoice.dueOn": LEFT_OUT,
    "RecordedInvoice.status": LEFT_OUT,
    "taskId": Names(lambda planted: planted.task_id, "zqnone-task"),
    "tokenId": Names(lambda planted: planted.token_id, "0123456789ab"),
    "viewId": Names(lambda planted: planted.view_id, "0123456789ab"),
    "path": Same("/explore?period=7-days"),
    "ruleId": Names(lambda planted: planted.rule_id, "0123456789ab"),
    "channelId": Names(lambda planted: planted.channel_id, "0123456789ab"),
    "deliveryId": Names(lambda planted: planted.delivery_id, "0123456789abcdef01234567"),
    "state": LEFT_OUT,
    "muteAlertRule.until": LEFT_OUT,
    "addAlertChannel.channel": Same({"webhook": {"url": "https://10.0.0.1/hook"}}),
    "AlertRuleInput.kind": Same("collection"),
    "AlertRuleInput.channels": Names(lambda planted: [planted.channel_id], ["0123456789ab"]),
    "AlertRuleInput.options": Same([{"name": "minutes", "value": "90"}]),
    "AlertRuleInput.accounts": Names(lambda planted: [planted.account_id], ["zqnone-customer.main"]),
    "AlertRuleInput.services": Same([]),
    "AlertRuleInput.budgets": Names(lambda planted: [planted.budget_id], ["0123456789ab"]),
    "AlertRuleInput.timing": Same({"digest": "DAILY", "quietFrom": 22, "quietUntil": 7}),
    "forecastDays": Same(31),
    "setForecastOverride.month": Same("2026-10-01"),
    "amount": Same("10"),
    "factor": LEFT_OUT,
    "note": Same("a note"),
    "budgetStatus.first": Same(100),
    "budgetId": Names(lambda planted: planted.budget_id, "0123456789ab"),
    "BudgetInput.filters": Names(
        lambda planted: [{"account": [planted.account_id]}], [{"account": ["zqnone-customer.main"]}]
    ),
    "BudgetInput.cadence": Same("MONTHLY"),
    "BudgetInput.amountsByMonth": LEFT_OUT,
    "BudgetInput.start": LEFT_OUT,
    "BudgetInput.end": LEFT_OUT,
    "overrideId": Names(lambda planted: planted.override_id, "0123456789ab"),
    "anomalyId": Names(lambda planted: planted.anomaly_id, "0123456789abcdef"),
    "AnomalyFilterInput.provider": Names(lambda _: [f"{MARK}-provider"], ["zqnone-provider"]),
    "AnomalyFilterInput.account": Names(lambda planted: [planted.account_id], ["zqnone-customer.main"]),
    "AnomalyFilterInput.service": Names(lambda _: [f"{MARK}-service"], ["zqnone-service"]),
    "AnomalyFilterInput.currency": Same("USD"),
    "AnomalyFilterInput.kind": Same(["RISE"]),
    "AnomalyFilterInput.state": LEFT_OUT,
    "AnomalyFilterInput.start": Same("2026-10-01"),
    "AnomalyFilterInput.end": Same("2026-11-01"),
    "AnomalyFilterInput.leastExcess": Same("0"),
    "AnomalyFilterInput.folded": Same(True),
    "setAnomalyState.state": Same("ACKNOWLEDGED"),
    "setAnomalyState.until": LEFT_OUT,
    "setAnomalyState.upTo": LEFT_OUT,
    "createCustomer.customerId": Names(lambda planted: planted.customer_id, "zqnone-customer"),
    "name": Same("a name"),
    "export.format": Same("csv"),
    "export.version": Same("1.3"),
    "export.xColumns": Same("true"),
    "currency": Same("USD"),
    "intoCurrency": Same("CHF"),
    "rate": Same("0.875"),
    "reopen": Same(True),
    "method": Same("DAY"),
    "exchangeRates.day": Same("2026-10-30"),
    "role": Same("VIEWER"),
    "allCustomers": LEFT_OUT,
    "expiresAt": LEFT_OUT,
    "createToken.days": Same(7),
    "accountId": Names(lambda planted: planted.account_id, "zqnone-customer.main"),
    "resourceId": Names(lambda _: f"{MARK}-resource-0", "zqnone-resource"),
    "includeDeleted": Same(True),
    "test": Same(False),
    "addCredential.name": Same("a-name"),
    "credential": Same({"focus": {"location": "s3://zq-bucket/costs"}}),
    "settings": Same({"focus": {"region": "eu-west-1"}}),
    "secrets": Same({"vultr": {"apiKey": "zq-key"}}),
    "since": Same("2020-01-01T00:00:00Z"),
    "until": Same("2100-01-01T00:00:00Z"),
    "restatements.filter": Names(
        lambda planted: {"account": [planted.account_id]}, {"account": ["zqnone-customer.main"]}
    ),
    "publicationEvents.filter": Names(
        lambda planted: {"account": [planted.account_id]}, {"account": ["zqnone-customer.main"]}
    ),
    "export.start": Same("2026-10-01"),
    "export.end": Same("2026-11-01"),
    "export.groupBy": Same(["SERVICE", "ACCOUNT"]),
    "export.provider": Names(lambda _: [f"{MARK}-provider"], ["zqnone-provider"]),
    "export.account": Names(lambda planted: [planted.account_id], ["zqnone-customer.main"]),
    "export.tagKey": LEFT_OUT,
    "export.tagValue": LEFT_OUT,
    "export.focus": LEFT_OUT,
    "tool.customer": Names(lambda planted: planted.customer_id, "zqnone-customer"),
    "compare_periods.effects": Same(True),
    "tool.before": Same({"start": "2026-09-01", "end": "2026-10-01"}),
    "tool.limit": LEFT_OUT,
    "tool.cadence": Same("MONTHLY"),
    "tool.filters": Names(lambda planted: [{"account": [planted.account_id]}], [{"account": ["zqnone-customer.main"]}]),
    "tool.start": LEFT_OUT,
    "tool.end": LEFT_OUT,
    "tool.skip": LEFT_OUT,
    "list_anomalies.account": Names(lambda planted: [planted.account_id], ["zqnone-customer.main"]),
    "list_anomalies.service": Names(lambda _: [f"{MARK}-service"], ["zqnone-service"]),
    "list_anomalies.state": LEFT_OUT,
    "list_anomalies.start": Same("2026-10-01"),
    "judge_anomaly.state": Same("ACKNOWLEDGED"),
    "judge_anomaly.until": LEFT_OUT,
    "judge_anomaly.upTo": LEFT_OUT,
    "find_values.dimension": Same("SERVICE"),
    "find_values.tagKey": LEFT_OUT,
    "find_values.search": Names(lambda _: f"{MARK}-service", "zqnone-service"),
    "run_graphql.query": Same(
        "query($customer: String) { accounts(customerId: $customer, first: 9) { nodes { id provider } } }"
    ),
    "run_graphql.variables": Names(lambda planted: {"customer": planted.customer_id}, {"customer": "zqnone-customer"}),
    "run_graphql.operationName": LEFT_OUT,
}


OF_TOOLS = ("tool.", "find_values.", "run_graphql.", "compare_periods.", "list_anomalies.", "judge_anomaly.")
"""What the keys for arguments of tools begin with."""


class Unknown(AssertionError):
    """The walk cannot go on: something in the schema is new to it. The message says what to add."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One argument, or one field of an input object, where a value goes.

    Attributes:
        path: from the argument down.
        value: what goes there.
        is_required: it cannot be left out.
    """

    path: tuple[str, ...]
    value: Same | Names | Cursor
    is_required: bool

    def usual(self) -> Any:
        """What goes there when nothing is chosen."""
        if isinstance(self.value, Same):
            return self.value.value
        return self.value.nobody if isinstance(self.value, Names) and self.is_required else _LEFT_OUT


@dataclass(frozen=True, slots=True)
class Operation:
    """One field of a root type, with everything it can show.

    Attributes:
        kind: ``query``, ``mutation`` or ``subscription``.
        name: of the field.
        document: asks for all fields below it.
        leaves: where values go.
    """

    kind: str
    name: str
    document: str
    leaves: tuple[Leaf, ...]

    def variables(self, chosen: dict[tuple[str, ...], Any]) -> dict[str, Any]:
        """The variables with the `chosen` values at their paths, a harmless value where one is needed, and what is `Same`."""
        variables: dict[str, Any] = {}
        for leaf in self.leaves:
            value = chosen.get(leaf.path, _LEFT_OUT)
            if leaf.path not in chosen and (leaf.is_required or len(leaf.path) == 1):
                value = leaf.usual()
            if value is _LEFT_OUT:
                continue
            place = variables
            for step in leaf.path[:-1]:
                place = place.setdefault(step, {})
            place[leaf.path[-1]] = copy.deepcopy(value)
        return variables

    def own(self, planted: Planted) -> dict[str, Any]:
        """The variables with which the planted customer itself asks: what has to be named is its own."""
        required = [one for one in self.leaves if one.is_required and isinstance(one.value, Names)]
        return self.variables({one.path: one.value.of(planted) for one in required})


def operations(schema: GraphQLSchema, values: dict[str, Same | Names | Cursor] = VALUES) -> list[Operation]:
    """One operation for each field of each root type.

    Raises:
        Unknown: an argument, an input field or a root type is new; says what to add.
    """
    roots = {
        "query": schema.query_type,
        "mutation": schema.mutation_type,
        "subscription": schema.subscription_type,
    }
    return [
        _operation(schema, kind, name, definition, values)
        for kind, root in roots.items()
        if root is not None
        for name, definition in root.fields.items()
    ]


def exports(routes: Iterable[BaseRoute]) -> list[Operation]:
    """One operation for each file of ``/export``, none while there is no such route. `document` is the path.

    Raises:
        Unknown: a parameter is new; says what to add.
    """
    if not any(isinstance(one, Route) and one.path.startswith("/export/") for one in routes):
        return []
    accepted = importlib.import_module("optiinfra_api.export.arguments").ACCEPTED
    return [
        Operation("export", what, f"/export/{what}.csv", tuple(map(_parameter, sorted(names))))
        for what, names in accepted.items()
    ]


def tools(schemas: Mapping[str, Any]) -> list[Operation]:
    """One operation for each tool of /mcp. `document` is its name.

    Args:
        schemas: the JSON schema of its arguments, by the tool's name.

    Raises:
        Unknown: an argument is new; says what to add.
    """
    return [
        Operation(
            "tool", name, name, tuple(_properties(name, schema, schema["properties"], schema.get("required", ())))
        )
        for name, schema in schemas.items()
    ]


def _properties(
    tool: str, schema: Any, properties: Mapping[str, Any], required: Container[str], above: tuple[str, ...] = ()
) -> Iterator[Leaf]:
    """The arguments of a tool; inside of `filter`, those of the input type of GraphQL."""
    for name, one in properties.items():
        keys = (f"CostFilter.{name}",) if above else (f"{tool}.{name}", f"tool.{name}", name)
        found = next((VALUES[key] for key in keys if key in VALUES), None)
        references = [kind["$ref"].split("/")[-1] for kind in (one, *one.get("anyOf", ())) if "$ref" in kind]
        if found is not None:
            yield Leaf((*above, name), found, name in required)
        elif references and not above:
            yield from _properties(tool, schema, schema["$defs"][references[0]]["properties"], (), (name,))
        else:
            raise Unknown(
                f"argument {name} of the tool {tool}: the walk knows no value: add a line for {keys[0]!r} to VALUES in "
                "tests/api/isolation_walk.py"
            )


def _parameter(name: str) -> Leaf:
    keys = (f"export.{name}", f"CostFilter.{name}", name)
    found = next((VALUES[key] for key in keys if key in VALUES), None)
    if found is None:
        raise Unknown(
            f"parameter {name} of /export: the walk knows no value: add a line for 'export.{name}' to VALUES in "
            "tests/api/isolation_walk.py"
        )
    return Leaf((name,), found, is_required=False)


def _operation(
    schema: GraphQLSchema,
    kind: str,
    name: str,
    definition: GraphQLField,
    values: dict[str, Same | Names | Cursor],
) -> Operation:
    declared = ", ".join(f"${argument}: {_declared(one)}" for argument, one in definition.args.items())
    given = ", ".join(f"{argument}: ${argument}" for argument in definition.args)
    head = f"{kind}{f'({declared})' if declared else ''}"
    call = f"{name}{f'({given})' if given else ''}"
    leaves = tuple(
        leaf for argument, one in definition.args.items() for leaf in _leaves(name, argument, one, (argument,), values)
    )
    below = _selection(schema, get_named_type(definition.type), _DEPTH)
    return Operation(kind, name, f"{head} {{ {call} {below} }}", leaves)


def _declared(argument: GraphQLArgument) -> str:
    """The type of a variable for it, which can be left out where the argument can."""
    return str(argument.type) if is_required_argument(argument) else str(argument.type).removesuffix("!")


def _leaves(
    owner: str,
    name: str,
    definition: GraphQLArgument | GraphQLInputField,
    path: tuple[str, ...],
    values: dict[str, Same | Names | Cursor],
) -> Iterator[Leaf]:
    is_required = (
        is_required_argument(definition)
        if isinstance(definition, GraphQLArgument)
        else is_required_input_field(definition)
    )
    known = values.get(f"{owner}.{name}", values.get(name))
    if known is not None:
        yield Leaf(path, known, is_required)
        return
    type_ = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
    if isinstance(type_, GraphQLInputObjectType):
        for inner, one in type_.fields.items():
            yield from _leaves(type_.name, inner, one, (*path, inner), values)
        return
    raise Unknown(
        f"{owner}.{name}: {definition.type}: the walk knows no value: add a line for {owner + '.' + name!r} to VALUES in "
        f"tests/api/isolation_walk.py: Same(value) if it names nothing of a customer, Names(of, nobody) if it does"
    )


def _selection(schema: GraphQLSchema, type_: Any, depth: int) -> str:
    """Every field below a type. A field of the same name and another type in a member of a union gets an alias."""
    if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
        members = schema.get_possible_types(type_)
        seen: dict[str, str] = {}
        parts = [f"... on {member.name} {_fields(schema, member, depth, seen)}" for member in members]
        return f"{{ __typename {' '.join(parts)} }}"
    return _fields(schema, type_, depth, {}) if isinstance(type_, GraphQLObjectType) else ""


def _fields(schema: GraphQLSchema, type_: GraphQLObjectType, depth: int, seen: dict[str, str]) -> str:
    found = ["__typename"]
    for name, definition in type_.fields.items():
        if required := [one for one, argument in definition.args.items() if is_required_argument(argument)]:
            raise Unknown(
                f"{type_.name}.{name} needs {', '.join(required)}: the walk gives arguments to root fields only: teach `_fields` in "
                "tests/api/isolation_walk.py"
            )
        named = get_named_type(definition.type)
        is_leaf = not isinstance(named, GraphQLObjectType | GraphQLUnionType | GraphQLInterfaceType)
        if not is_leaf and depth == 0:
            raise Unknown(f"{type_.name}.{name} lies deeper than operations may be: raise _DEPTH or flatten it")
        shown = name
        if seen.setdefault(name, str(definition.type)) != str(definition.type):
            shown = f"{type_.name}_{name}: {name}"
        found.append(shown if is_leaf else f"{shown} {_selection(schema, named, depth - 1)}")
    return f"{{ {' '.join(found)} }}"


def unused_values(schema: GraphQLSchema) -> list[str]:
    """Keys of `VALUES` that fit nothing in the schema: left over from what was removed."""
    arguments = {
        (name, argument)
        for root in (schema.query_type, schema.mutation_type, schema.subscription_type)
        if root is not None
        for name, definition in root.fields.items()
        for argument in definition.args
    } | {
        (type_.name, name)
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLInputObjectType)
        for name in type_.fields
    }
    used = {f"{owner}.{name}" for owner, name in arguments} | {name for _, name in arguments}
    return sorted(key for key in VALUES.keys() - used if not key.startswith(("export.", *OF_TOOLS)))


def seen_in(answer: Any, planted: Planted, sent: Any = None) -> list[str]:
    """What of the planted customer an answer shows, but for what was `sent` and is said back; cursors are opened."""
    text = _said(answer, sent)
    found = re.findall(rf"[\w./:-]*{MARK}[\w./:-]*", text)
    return found + [one for one in planted.secrets if re.search(rf"(?<![\w.]){re.escape(one)}(?!\w)", text)]


def comparable(answer: Any, sent: Any) -> str:
    """An answer as text, without what was sent, and without what differs from one answer to the next."""
    return _CORRELATION.sub("...", _said(_steady(answer), sent))


def _said(answer: Any, sent: Any) -> str:
    text = json.dumps(answer, ensure_ascii=False) + "".join(_opened(answer))
    for one in sorted(_texts(sent), key=len, reverse=True):
        # Whole only: an account id that begins with a customer id sent is not what was sent.
        text = re.sub(rf"(?<![\w.-]){re.escape(one)}(?![\w.-])", "SENT", text)
    return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _opened(answer: Any) -> Iterator[str]:
    """What cursors in an answer hold."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name == "endCursor" and isinstance(value, str):
                yield f" {content_of(value)!r}"
            else:
                yield from _opened(value)
    elif isinstance(answer, list):
        for one in answer:
            yield from _opened(one)


def content_of(cursor: str) -> list[Any]:
    """The values in a cursor."""
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error as error:
        raise AssertionError(f"{cursor!r} is not a cursor") from error
    content: list[Any] = orjson.loads(sealed[pagination._CHECKSUM_SIZE :])
    return content


def cursor_of_nobody(cursor: str) -> str:
    """A cursor like the given one, of a question that nobody asked."""
    _, question, _, snapshot, *position = content_of(cursor)
    return pagination.Cursor("0" * len(question), None, snapshot, tuple(position)).encode()


def cursor_in(answer: Any) -> str | None:
    """The first cursor of an answer."""
    if isinstance(answer, dict):
        for name in ("endCursor", "cursor"):
            if isinstance(answer.get(name), str):
                return str(answer[name])
        return next((found for one in answer.values() if (found := cursor_in(one))), None)
    if isinstance(answer, list):
        return next((found for one in answer if (found := cursor_in(one))), None)
    return None


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "..." if name in _VOLATILE else _steady(one) for name, one in value.items()}
    return [_steady(one) for one in value] if isinstance(value, list) else value
