"""Which version of FOCUS a delivery follows, and which column is which."""

from __future__ import annotations

import pytest

from optiinfra_assets.line_items import Layout, LayoutRejected
from tests.focus_samples import columns


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_each_version_is_recognised_from_its_columns(version: str) -> None:
    layout = Layout.of(columns(version))
    assert layout.version_text == version
    gone = [f"x_{name}" for name in ("ProviderName", "PublisherName") if name in columns(version)]
    assert [name for _, name in layout.extras] == gone


@pytest.mark.parametrize(("version", "recognised"), [("1.0", "1.0"), ("1.2", "1.0"), ("1.3", "1.3"), ("1.4", "1.4")])
def test_mandatory_columns_alone_are_enough(version: str, recognised: str) -> None:
    """1.1 and 1.2 only added conditional columns, so without those nothing tells them from 1.0."""
    assert Layout.of(columns(version, only_mandatory=True)).version_text == recognised


def test_1_3_without_the_names_it_deprecated_reads_like_1_4() -> None:
    names = [name for name in columns("1.3") if name not in ("ProviderName", "PublisherName")]
    assert Layout.of(names).version_text == "1.4"


@pytest.mark.parametrize("version", ["1.0", "1.3", "1.4"])
def test_every_missing_mandatory_column_is_named(version: str) -> None:
    names = columns(version)
    for missing in columns(version, only_mandatory=True):
        if missing in ("ServiceProviderName", "ProviderName", "PublisherName") and version != "1.0":
            continue
        with pytest.raises(
            LayoutRejected, match=f"mandatory column {missing} is missing: .* FOCUS {version} CostAndUsage"
        ):
            Layout.of([name for name in names if name != missing])


def test_a_file_of_something_else_names_the_first_missing_columns() -> None:
    with pytest.raises(LayoutRejected, match=r"BilledCost, BillingAccountId, .* and 16 more is missing"):
        Layout.of(["id", "name"])


def test_names_count_whatever_their_case() -> None:
    lower = Layout.of([name.lower() for name in columns("1.2")])
    assert lower.positions == Layout.of(columns("1.2")).positions


def test_unknown_columns_are_kept_under_x() -> None:
    layout = Layout.of([*columns("1.0"), "Id", "x_Discount", "X_Upper", "oci_Overage", ""])
    count = len(columns("1.0"))
    extras = dict(layout.extras)
    assert [extras[count + n] for n in range(5)] == [
        "x_Id",
        "x_Discount",
        "X_Upper",
        "x_oci_Overage",
        f"x_unnamed_{count + 5}",
    ]


def test_names_from_before_1_0() -> None:
    old = {"ProviderName": "Provider", "PublisherName": "Publisher", "InvoiceIssuerName": "InvoiceIssuer"}
    names = [old.get(name, name) for name in columns("1.0")]
    layout = Layout.of(names)
    assert {new: names[layout.positions[new]] for new in old} == old
    assert {name for _, name in layout.extras} == {"x_Provider", "x_Publisher", "x_InvoiceIssuer"}


def test_what_1_0_made_mandatory_may_be_absent_before_it() -> None:
    names = [name for name in columns("1.0") if name not in ("ChargeClass", "ContractedCost")]
    layout = Layout.of([{"ProviderName": "Provider"}.get(name, name) for name in names])
    assert (layout.is_preview, layout.version_text) == (True, "before 1.0")
    with pytest.raises(LayoutRejected, match="mandatory column ChargeClass, ContractedCost is missing"):
        Layout.of(names)


def test_a_name_from_before_1_0_beside_the_new_one_is_only_an_extra() -> None:
    layout = Layout.of([*columns("1.0"), "Provider"])
    assert layout.names[layout.positions["ProviderName"]] == "ProviderName"
    assert (len(columns("1.0")), "x_Provider") in layout.extras


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["BilledCost"], "two columns have the name 'BilledCost': remove or rename one"),
        (
            ["billedcost"],
            "columns 'BilledCost' and 'billedcost' have the same name but for capitals: remove or rename one",
        ),
        (["Id", "x_Id"], "columns 'Id' and 'x_Id' would both be kept as 'x_Id': rename one"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(more: list[str], message: str) -> None:
    with pytest.raises(LayoutRejected, match=message):
        Layout.of([*columns("1.0"), *more])
