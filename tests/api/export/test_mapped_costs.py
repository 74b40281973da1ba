"""Costs that are not FOCUS, read with a mapping: their totals to the digit, and the same line items after an export and back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from exporting import ask, collected, csv_rows
from world import World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers import PROVIDERS
from tests.focus_samples import account

DECEMBER = BillingPeriod(2026, 12)


@dataclass(frozen=True)
class Shape:
    """A file of costs, its mapping, and what it holds of December: sums by currency, and values of one of them."""

    text: str
    mapping: str
    totals: dict[str, str]
    one: dict[str, str]
    encoding: str = "utf-8"


SHAPES = {
    "seats": Shape(
        "Kundennummer;Monat;Produkt;Plätze;Einzelpreis;Gesamtpreis;Abteilung;Notiz\n"
        "K-1;12.2026;CRM Pro;1.050;19,90 €;20.895,00 €;Vertrieb;=SUM(A1)\n"
        "K-1;12.2026;CRM Basic;3;9,90 €;29,70 €;;\n"
        "K-1;12.2026;Gutschrift;;;-1.000,05 €;Vertrieb;\n"
        "K-1;11.2026;CRM Basic;3;9,90 €;29,70 €;;\n",
        """
        charge_period = "month"
        number_form = "1.234,56 €"
        date_form = "MM.YYYY"
        [columns]
        Kundennummer = "BillingAccountId"
        Monat = "ChargePeriodStart"
        Produkt = "ServiceName"
        "Plätze" = ["ConsumedQuantity", "PricingQuantity"]
        Einzelpreis = "ContractedUnitPrice"
        Gesamtpreis = ["BilledCost", "EffectiveCost"]
        Abteilung = "Tags.department"
        [constants]
        BillingCurrency = "EUR"
        ChargeCategory = "Usage"
        ServiceProviderName = "CRM AG"
        "Tags.env" = "prod"
        """,
        {"EUR": "19924.65"},
        {
            "ServiceName": "CRM Pro",
            "ConsumedQuantity": "1050",
            "ContractedUnitPrice": "19.9",
            "Tags": '{"department":"Vertrieb","env":"prod"}',
            "ChargePeriodEnd": "2027-01-01T00:00:00Z",
            "x_Notiz": "=SUM(A1)",
        },
        "cp1252",
    ),
    "tokens": Shape(
        "ts\tworkspace\tmodel\ttoken type\ttokens\tusd per token\tcost\n"
        "Dec 31, 2026\tws_1\tlarge-2\tinput\t1,204,331\t1.5E-06\t1.8064965\n"
        "Dec 01, 2026\tws_1\tlarge-2\toutput\t12\t7.5E-06\t0.00009\n"
        "Dec 01, 2026\tws_2\tsmall-1\tcached input\t1\t0.000000075\t0.000000075\n",
        """
        number_form = "1,234.56"
        date_form = ["MMM DD, YYYY", "YYYY-MM-DD"]
        [columns]
        ts = "ChargePeriodStart"
        workspace = "SubAccountId"
        model = ["SkuId", "ResourceId"]
        "token type" = "SkuMeter"
        tokens = "ConsumedQuantity"
        "usd per token" = "ListUnitPrice"
        cost = ["BilledCost", "EffectiveCost", "ListCost"]
        [constants]
        BillingAccountId = "org-1"
        BillingCurrency = "USD"
        ChargeCategory = "Usage"
        ConsumedUnit = "Tokens"
        ServiceName = "Models"
        ServiceCategory = "AI and Machine Learning"
        ServiceProviderName = "Model Maker"
        """,
        {"USD": "1.806586575"},
        {
            "ChargePeriodStart": "2026-12-01T00:00:00Z",
            "ChargePeriodEnd": "2026-12-02T00:00:00Z",
            "ListUnitPrice": "0.0000075",
            "SkuMeter": "output",
            "ServiceCategory": "AI and Machine Learning",
        },
    ),
    "racks": Shape(
        "Von|Bis|Standort|Rack|kWh|Betrag|Währung|Kategorie|Rechnung\n"
        "01.12.2026|31.12.2026|ZRH1|R-17|1'204.5|1'234.50|CHF|Usage|R-99\n"
        "01.12.2026|31.12.2026|FRA2|R-2|0|(1'000.00)|EUR|Credit|R-98\n"
        "2026-12-05|2026-12-05|ZRH1||0|99.-|CHF|Purchase|R-99\n".replace("99.-", "99."),
        """
        number_form = "1'234.56"
        date_form = "DD.MM.YYYY"
        last_day_included = true
        [columns]
        Von = "ChargePeriodStart"
        Bis = "ChargePeriodEnd"
        Standort = "RegionId"
        Rack = "ResourceId"
        kWh = "ConsumedQuantity"
        Betrag = ["BilledCost", "EffectiveCost"]
        "Währung" = "BillingCurrency"
        Kategorie = "ChargeCategory"
        Rechnung = "InvoiceId"
        [constants]
        BillingAccountId = "DC-7"
        ConsumedUnit = "kWh"
        ServiceName = "Colocation"
        """,
        {"CHF": "1333.5", "EUR": "-1000"},
        {
            "ChargePeriodStart": "2026-12-01T00:00:00Z",
            "ChargePeriodEnd": "2027-01-01T00:00:00Z",
            "ConsumedQuantity": "1204.5",
            "InvoiceId": "R-99",
            "BilledCost": "1234.5",
        },
    ),
    "statement": Shape(
        'Kostenbericht "ACME" für Dezember;;;;\r\nerstellt am 05.01.2027;;;;\r\n\r\n'
        "Pos.;Zeitraum von;Gebühr netto [EUR];;Leistung\r\n"
        '1;Dezember 2026;1.000,00;;"Colo\r\n""Zürich"""\r\n'
        "2;Dez. 2026;99,\u2013;;Strom\r\n"
        ";;1.099,00;;Zwischensumme\r\n"
        "3;Dez 2026;(0,50);;Gutschrift\r\n"
        "Gesamtsumme:;;1.098,50;;\r\n",
        """
        charge_period = "month"
        number_form = "1.234,56"
        date_form = "MMM YYYY"
        [columns]
        "zeitraum von" = "ChargePeriodStart"
        "Gebühr netto [EUR]" = ["BilledCost", "EffectiveCost"]
        Leistung = "ServiceName"
        [constants]
        BillingAccountId = "K-2"
        BillingCurrency = "EUR"
        ChargeCategory = "Usage"
        [skip]
        "Pos." = "Gesamtsumme:"
        Leistung = ["Zwischensumme", "Summe"]
        """,
        {"EUR": "1098.5"},
        {"ServiceName": 'Colo\r\n"Zürich"', "BilledCost": "1000", "x_Pos.": "1"},
        "utf-8-sig",
    ),
    "clock": Shape(
        "sep=|\n\nTime|Amount (INR)|Amount|Amount|Item, kind\n"
        "12/01/2026 01:15:00 PM|1,23,456.50|7|8|a, b\n"
        "12/31/2026 12:00:00 AM|-0.50|7|9|a, b\n",
        """
        number_form = "1,234.56"
        date_form = "MM/DD/YYYY hh:mm:ss AM"
        charge_period = "hour"
        [columns]
        Time = "ChargePeriodStart"
        "Amount (INR)" = ["BilledCost", "EffectiveCost"]
        "Amount (2)" = "ConsumedQuantity"
        [constants]
        BillingAccountId = "K-2"
        BillingCurrency = "INR"
        ChargeCategory = "Usage"
        """,
        {"INR": "123456"},
        {
            "ChargePeriodStart": "2026-12-01T13:15:00Z",
            "ChargePeriodEnd": "2026-12-01T14:15:00Z",
            "ConsumedQuantity": "8",
            "x_Amount (1)": "7",
            "x_Item, kind": "a, b",
        },
    ),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_mapped_costs_are_exact_and_the_same_after_an_export_and_back(world: World, tmp_path: Path, name: str) -> None:
    shape, folder = SHAPES[name], tmp_path / "given"
    folder.mkdir()
    (folder / "costs.csv").write_bytes(shape.text.encode(shape.encoding))
    (folder / "optiinfra-mapping.toml").write_text(shape.mapping)
    customer, again = world.customer(), world.customer()
    hashes = [collected(world, customer, folder, DECEMBER)]
    period = [("start", "2026-12-01"), ("end", "2027-01-01"), ("version", "1.4"), ("xColumns", "true")]
    for form in ("csv", "parquet"):
        written = ask(world, customer.token, f"focus.{form}", period)
        (tmp_path / form).mkdir()
        (tmp_path / form / f"costs.{form}").write_bytes(written.content)
    found = csv_rows((tmp_path / "csv" / "costs.csv").read_bytes())
    totals: dict[str, Decimal] = {}
    for one in found:
        totals[one["BillingCurrency"]] = totals.get(one["BillingCurrency"], Decimal(0)) + Decimal(one["BilledCost"])
    assert totals == {currency: Decimal(total) for currency, total in shape.totals.items()}
    assert [one for one in found if one | shape.one == one]
    hashes.append(collected(world, again, tmp_path / "csv", DECEMBER))
    hashes.append(collected(world, world.customer(), tmp_path / "parquet", DECEMBER))
    assert len(set(hashes)) == 1


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_proposed_mapping_reads_the_same_costs(tmp_path: Path, name: str) -> None:
    """What a preview proposes is a mapping: with what it says is missing, the file gives its totals."""
    shape, path = SHAPES[name], tmp_path / "costs.csv"
    path.write_bytes(shape.text.encode(shape.encoding))
    shown = PROVIDERS["focus"].preview(str(path))
    assert shown.problem == ""
    assert set(shown.missing) <= {"BillingAccountId", "BillingCurrency"}
    text = str(shown.proposed)
    for missing, value in (("BillingAccountId", "a-1"), ("BillingCurrency", "USD")):
        text = text.replace(f'# {missing} = "?"', f'{missing} = "{value}"')
    (tmp_path / "optiinfra-mapping.toml").write_text(text)
    stream = PROVIDERS["focus"].collect(account(tmp_path), DECEMBER)
    found = [one for batch in stream.batches for one in batch.to_pylist()]
    totals: dict[str, Decimal] = {}
    for one in found:
        totals[one["billing_currency"]] = totals.get(one["billing_currency"], Decimal(0)) + one["billed_cost"]
    assert totals == {currency: Decimal(total) for currency, total in shape.totals.items()}
    read = PROVIDERS["focus"].preview(str(path))
    assert (read.problem, read.proposed, len(read.rows)) == ("", None, len(shown.rows))
