"""Which columns a version of FOCUS has."""

from __future__ import annotations

from optiinfra_assets.domain.focus import V1_0, V1_2, V1_3, V1_4, Version, columns_of


def names(version: Version) -> set[str]:
    return {column.name for column in columns_of(version)}


def test_a_deprecated_column_is_part_of_the_last_version_that_lists_it() -> None:
    """FOCUS 1.3 names the new columns for provider and publisher and still has the old ones, 1.4 has the new ones alone."""
    old = {"ProviderName", "PublisherName"}
    assert old <= names(V1_3)
    assert not old & names(V1_4)
    assert "ServiceProviderName" in names(V1_3) & names(V1_4)


def test_a_column_is_no_part_of_a_version_before_the_one_that_brought_it() -> None:
    assert "ServiceProviderName" not in names(V1_2)
    assert "SubAccountType" in names(V1_2)
    assert "SubAccountType" not in names(V1_0)
