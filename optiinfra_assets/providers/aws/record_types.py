"""What the words of AWS's bills are in FOCUS: services, and the line item types of reports, which Cost Explorer calls record types.

The types do not have the same capitals and spaces everywhere: "SavingsPlanNegation", "Savings Plan Negation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PURCHASES: Final[Mapping[str, str]] = {
    "fee": "One-Time",
    "upfront": "One-Time",
    "upfrontreservationfee": "One-Time",
    "savingsplanupfrontfee": "One-Time",
    "rifee": "Recurring",
    "recurring": "Recurring",
    "recurringreservationfee": "Recurring",
    "savingsplanrecurringfee": "Recurring",
}
"""Types that buy something, and how often."""

_USAGE: Final = re.compile(r"(|discounted|savings?plancovered)usage|savings?plannegation|.*discount|refund")
"""Discounts and refunds are in the category of what they reduce; of refunds the report does not say what that is."""

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
    """The one spelling of a type that the others here go by."""
    return re.sub(r"[\s_-]", "", type_).lower()


def charge_category(type_: str) -> str:
    """FOCUS ChargeCategory; of a type that nobody knows ``Adjustment``, for its money counts all the same."""
    word = canonical_record_type(type_)
    if word in PURCHASES:
        return "Purchase"
    if word in ("tax", "credit"):
        return word.capitalize()
    return "Usage" if _USAGE.fullmatch(word) else "Adjustment"


def charge_frequency(type_: str) -> str:
    """FOCUS ChargeFrequency."""
    if charge_category(type_) == "Usage":
        return "One-Time" if canonical_record_type(type_) == "refund" else "Usage-Based"
    return PURCHASES.get(canonical_record_type(type_), "One-Time")


def service_category(service: str) -> str:
    """FOCUS ServiceCategory of a service's name or code."""
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(service)), "Other")
