"""Maps AWS's terms to FOCUS: services, and the line item types of reports, which Cost Explorer calls record types.

AWS does not spell types with the same capitals and spaces everywhere: "SavingsPlanNegation", "Savings Plan Negation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PURCHASES: Final[Mapping[str, str]] = {
    "fee": "One-Time",
    "support": "One-Time",
    "supportfee": "One-Time",
    "other": "One-Time",
    "otheroutofcyclecharges": "One-Time",
    "upfront": "One-Time",
    "upfrontreservationfee": "One-Time",
    "savingsplanupfrontfee": "One-Time",
    "rifee": "Recurring",
    "recurring": "Recurring",
    "recurringreservationfee": "Recurring",
    "savingsplanrecurringfee": "Recurring",
}
"""Types that buy something -> FOCUS ChargeFrequency. Cost Explorer has its own names for fees: support, out-of-cycle charges."""

REFUNDS: Final = ("refund", "creditmemo")
_USAGE: Final = re.compile(
    r"(|discounted|reservationapplied|savings?plancovered)usage|savings?plannegation|.*discount|refund|creditmemo"
)
"""Discounts and refunds belong to the category of the charge they reduce: usage, unless it is known that a refund reduces a purchase."""
_PLANS: Final = re.compile(r"savings ?plans?\b", re.I)

_SERVICE_CATEGORIES: Final = (
    ("Databases", re.compile(r"\brds\b|relational database|dynamo|redshift|elasticache|aurora|neptune|docdb|documentdb|memorydb", re.I)),
    ("AI and Machine Learning", re.compile(r"sagemaker|bedrock|rekognition|comprehend|textract|polly|transcribe", re.I)),
    ("Storage", re.compile(r"s3\b|simple storage|glacier|elastic file|efs\b|fsx|backup|elastic block", re.I)),
    ("Networking", re.compile(r"load balanc|elb\b|cloudfront|route ?53|vpc|virtual private|data ?transfer|direct ?connect", re.I)),
    ("Analytics", re.compile(r"athena|glue|kinesis|elastic ?mapreduce|opensearch|elasticsearch|quicksight", re.I)),
    ("Security", re.compile(r"guardduty|\bkms\b|key management|\bwaf\b|security|secrets ?manager|inspector|macie", re.I)),
    ("Management and Governance", re.compile(r"cloudwatch|cloudtrail|\bconfig\b|systems ?manager|support", re.I)),
    ("Compute", re.compile(r"ec2|elastic compute|lambda|fargate|\becs\b|\beks\b|lightsail|batch|container", re.I)),
)  # fmt: skip


def canonical_record_type(type_: str) -> str:
    """Returns the spelling of a type that this module compares: lower case, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", type_).lower()


def is_refund(type_: str) -> bool:
    """Returns whether a type gives money back."""
    return canonical_record_type(type_) in REFUNDS


def is_plan(service: str) -> bool:
    """Returns whether the name or code of a service is that of savings plans: what is charged and refunded there are commitments."""
    return _PLANS.search(service) is not None


def charge_category(type_: str, *, of_purchase: bool = False) -> str:
    """Returns the FOCUS ChargeCategory; ``Adjustment`` for an unknown type, because its money counts all the same.

    Args:
        type_: the type, in any spelling.
        of_purchase: a refund of this charge gives back the price of a commitment, and belongs to its category.
    """
    if of_purchase and is_refund(type_):
        return "Purchase"
    word = canonical_record_type(type_)
    if word in PURCHASES:
        return "Purchase"
    if word in ("tax", "credit"):
        return word.capitalize()
    return "Usage" if _USAGE.fullmatch(word) else "Adjustment"


def charge_frequency(type_: str) -> str:
    """Returns the FOCUS ChargeFrequency of a type."""
    if charge_category(type_) == "Usage":
        return "One-Time" if is_refund(type_) else "Usage-Based"
    return PURCHASES.get(canonical_record_type(type_), "One-Time")


def service_category(service: str) -> str:
    """Returns the FOCUS ServiceCategory of a service's name or code; ``Other`` if none matches."""
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(service)), "Other")
