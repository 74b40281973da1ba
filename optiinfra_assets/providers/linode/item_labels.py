"""What the label of an invoice item says: ``Machine 4GB - web (123)`` is for a product, and for one resource with a name and an id.

Clouds for developers have one text for each item and document no list of them. A label is understood by what it begins with; names that
customers give come after that and are never looked into. What is not understood keeps its own beginning as its service.
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
    """A label, understood.

    Attributes:
        service: such as ``Block Storage``; what the label begins with if that is not known.
        category: FOCUS ServiceCategory.
        resource_id: number at its end, None if there is none.
        resource_name: as the customer calls it, None without `resource_id`.
    """

    service: str
    category: str
    resource_id: str | None = None
    resource_name: str | None = None

    @classmethod
    def parse(cls, text: str, machines: tuple[str, re.Pattern[str]]) -> Label:
        """Any text.

        Args:
            text: the label.
            machines: what the cloud calls its machines as a service, and the words that labels of machines begin with.
        """
        prefix = _PREFIX.match(text)
        begin = prefix[1] if prefix else text
        services = (*_SERVICES, (machines[0], "Compute", machines[1]))
        known = ((service, category) for service, category, words in services if words.search(begin))
        service, category = next(known, (begin, OTHER))
        named = _NAMED.fullmatch(text)
        return cls(service, category, named["id"], named["name"]) if named else cls(service, category)
