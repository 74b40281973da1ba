"""What the sample customers use: invented resources, prices and quantities in the proportions of real bills.

Names of providers and services are real so that results look familiar; accounts, resources and amounts are invented, and every billing
account says "(simulated)".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod


@dataclass(frozen=True, slots=True)
class Usage:
    """A group of similar resources that are charged every day.

    Attributes:
        service: FOCUS ServiceName.
        category: FOCUS ServiceCategory.
        subcategory: FOCUS ServiceSubcategory.
        resource: FOCUS ResourceType, and the stem of resource names.
        sub_account: FOCUS SubAccountName.
        region: FOCUS RegionId.
        unit: FOCUS ConsumedUnit and PricingUnit.
        list_price: per unit, in the bill's currency.
        daily: units a day of one resource in the oldest month.
        count: number of resources.
        growth: per cent of `daily` added each month.
        weekend: per cent of a weekday's units used on Saturdays and Sundays.
        tags: FOCUS Tags.
    """

    service: str
    category: str
    subcategory: str
    resource: str
    sub_account: str
    region: str
    unit: str
    list_price: Decimal
    daily: int
    count: int
    growth: int
    weekend: int
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Spike:
    """Days of unusually high usage of one service: `months_ago` counts from the newest month, both days are inclusive."""

    service: str
    months_ago: int
    first_day: int
    last_day: int
    times: int


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different for a group of usage from one day on, and stays so: a step, a leak, another price, a lost tag, a start.

    Attributes:
        service: FOCUS ServiceName of the group.
        sub_account: FOCUS SubAccountName of the group.
        months_ago: of its first day, counted from the newest month.
        day: of its first day, 1 to 28.
        units: per cent of the units before.
        leak: per mille of the units before that every day adds.
        price: per cent of the prices before.
        lost_tag: the tag that resources do not have any more.
        is_start: nothing of the group was used before.
    """

    service: str
    sub_account: str
    months_ago: int
    day: int
    units: int = 100
    leak: int = 0
    price: int = 100
    lost_tag: str | None = None
    is_start: bool = False

    def first_day(self, newest: BillingPeriod) -> date:
        """Return the first UTC day with it, if `newest` is the newest month."""
        return newest.shift(-self.months_ago).start.date().replace(day=self.day)

    def concerns(self, usage: Usage) -> bool:
        """Whether a group of usage changes."""
        return (self.service, self.sub_account) == (usage.service, usage.sub_account)


@dataclass(frozen=True, slots=True)
class Bill:
    """What one provider bills one customer in one currency.

    Attributes:
        discount: per cent off the list price, by contract.
        tax: per cent of the month's charges, rounded to cents.
        credit: a promotional credit of each month, negative; None if there is none.
        commitment: units an hour paid in advance for the first usage group, used or not; 0 if there is none.
    """

    provider: str
    account_id: str
    account_name: str
    currency: str
    usage: tuple[Usage, ...]
    discount: int = 0
    tax: int = 0
    credit: Decimal | None = None
    commitment: int = 0
    spike: Spike | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleCustomer:
    """One tenant of the demo; without `bills` it has no FOCUS files, only simulated clouds."""

    customer_id: str
    name: str
    bills: tuple[Bill, ...]


_CATEGORIES: Final = {
    "Block Storage": "Storage",
    "Containers": "Compute",
    "Content Delivery": "Networking",
    "Data Warehouses": "Databases",
    "Generative AI": "AI and Machine Learning",
    "Media Streaming": "Media",
    "Network Infrastructure": "Networking",
    "NoSQL Databases": "Databases",
    "Object Storage": "Storage",
    "Relational Databases": "Databases",
    "Serverless Compute": "Compute",
    "Virtual Machines": "Compute",
}
"""FOCUS ServiceCategory of each ServiceSubcategory used here."""


def _usage(table: str) -> tuple[Usage, ...]:
    """Parse one group a line: the fields of `Usage` except the category, between bars; the tags are team and environment."""
    return tuple(_group([cell.strip() for cell in line.split("|")]) for line in table.strip().splitlines())


def _group(cells: list[str]) -> Usage:
    service, subcategory, resource, sub_account, region, unit, price, *numbers, tags = cells
    daily, count, growth, weekend = (int(number) for number in numbers)
    return Usage(
        service=service,
        category=_CATEGORIES[subcategory],
        subcategory=subcategory,
        resource=resource,
        sub_account=sub_account,
        region=region,
        unit=unit,
        list_price=Decimal(price),
        daily=daily,
        count=count,
        growth=growth,
        weekend=weekend,
        tags=dict(zip(("team", "environment"), tags.split(), strict=False)),
    )


_ACME = """
Amazon Elastic Compute Cloud      |Virtual Machines    |instance    |shop-prod|us-east-1|Hours     |0.192       |24     |10|2 |100|shop prod
Amazon Elastic Compute Cloud      |Virtual Machines    |instance    |shop-test|us-east-1|Hours     |0.096       |10     |4 |0 |10 |shop test
Amazon Relational Database Service|Relational Databases|database    |shop-prod|us-east-1|Hours     |0.58        |24     |3 |0 |100|shop prod
Amazon DynamoDB                   |NoSQL Databases     |table       |shop-prod|us-east-1|Requests  |0.00000125  |9400000|4 |4 |135|shop prod
Amazon Simple Storage Service     |Object Storage      |bucket      |shop-prod|us-east-1|GB-Days   |0.000766667 |5200   |5 |5 |100|shop prod
Amazon CloudFront                 |Content Delivery    |distribution|shop-prod|global   |GB        |0.085       |410    |2 |4 |140|shop prod
AWS Lambda                        |Serverless Compute  |function    |shop-prod|us-west-2|GB-Seconds|0.0000166667|310000 |7 |3 |120|shop prod
Amazon Redshift                   |Data Warehouses     |cluster     |data     |us-west-2|Hours     |1.086       |24     |1 |1 |60 |bi prod
Amazon Bedrock                    |Generative AI       |model       |data     |us-west-2|Tokens    |0.000003    |2100000|2 |12|45 |bi prod
"""
_GLOBEX_EUR = """
Compute Engine          |Virtual Machines|instance|encoding     |europe-west4|Hours  |0.2209  |20   |9|3|130|streaming prod
Google Kubernetes Engine|Containers      |cluster |platform     |europe-west4|Hours  |0.092   |24   |2|0|100|streaming prod
Cloud Storage           |Object Storage  |bucket  |media-library|europe-west1|GB-Days|0.000633|61000|4|4|100|streaming prod
Cloud CDN               |Content Delivery|backend |media-library|global      |GB     |0.0748  |2300 |2|5|165|streaming prod
BigQuery                |Data Warehouses |dataset |insights     |europe-west1|TB     |5.75    |6    |3|2|40 |bi prod
"""
_GLOBEX_USD = """
Virtual Machines    |Virtual Machines      |vm      |back-office|westeurope |Hours  |0.166  |24 |5|0|100|it
Azure SQL Database  |Relational Databases  |database|back-office|westeurope |Hours  |0.4042 |24 |2|0|100|it
Azure Media Services|Media Streaming       |channel |live       |northeurope|Hours  |1.9    |9  |2|2|180|streaming
Virtual Network     |Network Infrastructure|gateway |back-office|westeurope |GB     |0.035  |190|2|1|60 |it
Azure Kubernetes Service|Containers        |cluster |live       |northeurope|Hours  |0.62   |24 |1|0|100|streaming
Managed Disks       |Block Storage         |disk    |back-office|westeurope |GB-Days|0.00512|512|8|0|100|it
"""

CUSTOMERS: Final = (
    SampleCustomer(
        "acme",
        "Acme Retail (simulated)",
        (
            Bill(
                provider="AWS",
                account_id="simulated-0001",
                account_name="Acme Retail (simulated)",
                currency="USD",
                usage=_usage(_ACME),
                discount=7,
                tax=8,
                credit=Decimal("-250"),
                commitment=8,
                spike=Spike("AWS Lambda", months_ago=4, first_day=11, last_day=13, times=9),
                changes=(
                    Change("Amazon Simple Storage Service", "shop-prod", months_ago=2, day=1, leak=14),
                    Change("Amazon Relational Database Service", "shop-prod", months_ago=1, day=12, price=135),
                    Change("AWS Lambda", "shop-prod", months_ago=1, day=15, lost_tag="team"),
                    Change("Amazon Redshift", "data", months_ago=1, day=18, units=230),
                ),
            ),
        ),
    ),
    SampleCustomer(
        "globex",
        "Globex Media (simulated)",
        (
            Bill(
                provider="Google Cloud",
                account_id="simulated-0002",
                account_name="Globex Media (simulated)",
                currency="EUR",
                usage=_usage(_GLOBEX_EUR),
                discount=5,
                tax=19,
                commitment=6,
                changes=(Change("Google Kubernetes Engine", "platform", months_ago=1, day=17, units=450),),
            ),
            Bill(
                provider="Microsoft",
                account_id="simulated-0003",
                account_name="Globex Media US (simulated)",
                currency="USD",
                usage=_usage(_GLOBEX_USD),
                credit=Decimal("-99.5"),
                spike=Spike("Azure Media Services", months_ago=1, first_day=20, last_day=23, times=6),
                # Small beside the account: else the account's own rise would be told in its place.
                changes=(Change("Azure Kubernetes Service", "live", months_ago=1, day=4, is_start=True),),
            ),
        ),
    ),
    SampleCustomer("initech", "Initech Labs (simulated)", ()),
)
