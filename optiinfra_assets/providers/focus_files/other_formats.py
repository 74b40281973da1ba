"""Recognizes cost files of clouds that are not FOCUS by their columns, so that the refusal says what to connect instead.

Sources: AWS, "Cost and Usage Report" and "Cost and Usage Report 2.0" (data dictionary); Microsoft, "Understand the terms in your cost and
usage file" (actual and amortized cost, in the versions since 2014 of each kind of agreement); Google, "Structure of Standard data export"
and "Export Cloud Billing data to a file"; DigitalOcean, "Invoice CSV". Names are compared without capitals, spaces and separators: the same
format has other separators as CSV, as Parquet and after a tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from optiinfra_assets.domain.focus_datasets import squeezed


@dataclass(frozen=True, slots=True)
class OtherFormat:
    """A format of cost files.

    Attributes:
        title: what people call it, with its article.
        columns: groups of names; a file has the format if it has one name of each group.
        instead: what to connect instead, as a command or a sentence.
    """

    title: str
    columns: tuple[frozenset[str], ...]
    instead: str

    def fits(self, names: frozenset[str]) -> bool:
        """Return whether a file with these squeezed names has the format."""
        return all(names & group for group in self.columns)


def _any_of(names: str) -> frozenset[str]:
    return frozenset(names.split())


_AWS: Final = "of data exports in Billing and Cost Management, and connect its folder: optiinfra connect aws --export s3://bucket/prefix/name"
_FORMATS: Final = (
    OtherFormat(
        "a legacy Cost and Usage Report of AWS",
        (frozenset({"lineitem/unblendedcost", "lineitem/usagestartdate"}),),
        f"make a new export (FOCUS, or Cost and Usage Report 2.0) {_AWS}",
    ),
    OtherFormat(
        "a Cost and Usage Report of AWS",
        (
            _any_of("lineitemunblendedcost lineitemblendedcost"),
            _any_of("billbillingperiodstartdate lineitemusagestartdate"),
        ),
        f"version 2.0 is read as the export that AWS delivers, with its manifests; else make an export {_AWS}",
    ),
    OtherFormat(
        "a classic cost export of Azure (actual or amortized cost)",
        (
            _any_of("metercategory meterid metername"),
            _any_of("costinbillingcurrency costinpricingcurrency costinusd pretaxcost extendedcost costusd cost"),
            _any_of("date usagedatetime usagedate usagestart"),
        ),
        "make an export of the type 'Cost and usage details (FOCUS)' and connect its folder, optiinfra connect azure --export-url ..., or "
        "connect the subscription itself, optiinfra connect azure --scope subscriptions/...",
    ),
    OtherFormat(
        "a BigQuery export of Google Cloud Billing",
        (
            _any_of("usagestarttime"),
            _any_of("cost costatlist"),
            _any_of("billingaccountid exporttime costtype servicedescription"),
        ),
        "connect the table that it comes from: optiinfra connect gcp --table project.dataset.table",
    ),
    OtherFormat(
        "an old daily file of Google Cloud Billing",
        (_any_of("lineitem"), _any_of("measurement1"), _any_of("cost")),
        "let Google Cloud Billing export to BigQuery and connect the table: optiinfra connect gcp --table project.dataset.table",
    ),
    OtherFormat(
        "an invoice of DigitalOcean",
        (_any_of("groupdescription"), _any_of("product"), _any_of("usd")),
        "connect the account that it bills: optiinfra connect digitalocean",
    ),
)


def other_format(names: Iterable[str]) -> str | None:
    """Return what a file with these columns is and what to connect instead, as a clause; None for any other file."""
    found = frozenset(map(squeezed, names))
    known = next((one for one in _FORMATS if one.fits(found)), None)
    return None if known is None else f"is {known.title}, not FOCUS: {known.instead}"
