"""Parses the label of an invoice item: ``Machine 4GB - web (123)`` names a product, and one resource with a name and an id.

Linode writes one text for each item and documents no list of them. The parser looks only at the beginning of a label, never at the names
after it, which customers choose. The service of an unknown label is the label's own beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

BACKUPS: Final = "Backups"
OTHER: Final = "Other"

_SERVICES: Final = (
    (BACKUPS, "Storage", re.compile(r"backup", re.I)),
    ("Object Storage", "Storage", re.compile(r"object storage", re.I)),
    ("Block Storage", "Storage", re.compile(r"volume|block storage", re.I)),
    ("Load Balancers", "Networking", re.compile(r"balancer", re.I)),
    ("Network Transfer", "Networking", re.compile(r"transfer|overage|bandwidth", re.I)),
    ("IP Addresses", "Networking", re.compile(r"\bipv?[46]?\b", re.I)),
    ("Managed Databases", "Databases", re.compile(r"database|dbaas|mysql|postgres", re.I)),
    ("Kubernetes", "Compute", re.compile(r"kubernetes|\blke\b", re.I)),
    ("Managed", "Management and Governance", re.compile(r"\bmanaged\b|longview", re.I)),
)
_PREFIX: Final = re.compile(r"(.+?)(?: - | \(|$)")
_NAMED: Final = re.compile(r"(?:.* - )?(?P<name>.+?) \((?P<id>\d+)\)$")


@dataclass(frozen=True, slots=True)
class Label:
    """A parsed label.

    Attributes:
        service: such as ``Block Storage``; the beginning of the label if that is unknown.
        category: FOCUS ServiceCategory.
        resource_id: the number at the end of the label, None if there is none.
        resource_name: the customer's name for the resource, None without `resource_id`.
    """

    service: str
    category: str
    resource_id: str | None = None
    resource_name: str | None = None

    @classmethod
    def parse(cls, text: str, machines: tuple[str, re.Pattern[str]]) -> Label:
        """Parse any text.

        Args:
            text: the label.
            machines: the service name of the cloud's machines, and a pattern that finds them in the beginning of a label.
        """
        prefix = _PREFIX.match(text)
        begin = prefix[1] if prefix else text
        services = (*_SERVICES, (machines[0], "Compute", machines[1]))
        known = ((service, category) for service, category, words in services if words.search(begin))
        service, category = next(known, (begin, OTHER))
        named = _NAMED.fullmatch(text)
        return cls(service, category, named["id"], named["name"]) if named else cls(service, category)
