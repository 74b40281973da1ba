"""Proposes a mapping for a file of costs by the names of its columns and the first of its values, for a person to check.

Names are compared without capitals, accents, spaces and separators, in English and in the languages that such files often have. A
column that nothing is known of is left out: it is kept as it is, beyond FOCUS.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from optiinfra_assets.domain.focus import BY_NAME, CHARGE_CATEGORIES, ColumnType
from optiinfra_assets.domain.focus_datasets import squeezed
from optiinfra_assets.providers.focus_files.value_forms import DateForms, NumberForm

_COST: Final = "BilledCost"
_START: Final = "ChargePeriodStart"
NEEDED: Final = (_COST, "EffectiveCost", "BillingCurrency", "BillingAccountId", "ChargeCategory", _START)
"""Columns that a file, or the constants of its mapping, must give."""
USEFUL: Final = ("ServiceName", "ServiceProviderName", "ServiceCategory", "InvoiceIssuerName")
"""Columns that FOCUS wants to have values, and by which costs are looked for; totals are right without them."""

_WORDS: Final = """
BilledCost: cost costs billedcost netcost totalcost amount netamount totalamount lineamount amountdue total nettotal
BilledCost: linetotal subtotal charge charges spend price totalprice netprice betrag nettobetrag netto gesamt
BilledCost: gesamtbetrag gesamtpreis summe kosten preis montant montantht total_ht cout importe coste total_neto importo
BilledCost: costo bedrag kostennetto gebuehr gebuehren gebuehrnetto entgelt nettopreis nettosumme
ChargePeriodStart: chargeperiodstart date day usagedate usageday chargedate billingdate postingdate transactiondate
ChargePeriodStart: timestamp time start startdate starttime from fromdate periodstart servicestart servicefrom month
ChargePeriodStart: billingmonth usagemonth period billingperiod datum tag buchungsdatum leistungsdatum von beginn monat
ChargePeriodStart: abrechnungsmonat zeitraum leistungsmonat date_debut debut mois fecha mes inicio data inizio mese
ChargePeriodStart: maand zeitraumvon leistungszeitraumvon periodfrom usagestart usagestartdate usagestarttime
ChargePeriodStart: usagedatetime datetime createdat
ChargePeriodEnd: chargeperiodend end enddate endtime to todate until periodend serviceend serviceto bis ende fin datefin
ChargePeriodEnd: hasta fine tot zeitraumbis leistungszeitraumbis periodto usageend usageenddate usageendtime
BillingCurrency: billingcurrency currency currencycode ccy iso waehrung wahrung devise moneda valuta
BillingAccountId: billingaccountid account accountid accountnumber customer customerid customernumber organization
BillingAccountId: organisation organizationid organisationid orgid org tenant tenantid contract contractid
BillingAccountId: contractnumber subscription subscriptionid konto kundennummer kunde kundennr vertrag vertragsnummer
BillingAccountId: compte client cliente cuenta
SubAccountId: subaccountid project projectid projectname workspace workspaceid projekt projet proyecto apikey apikeyid
ServiceName: servicename service product productname plan application app dienst leistung produkt produit servicio
ServiceName: producto servizio artikel artikelbezeichnung
ServiceProviderName: serviceprovidername provider vendor supplier anbieter lieferant fournisseur proveedor fornitore
ServiceProviderName: leverancier
ChargeDescription: chargedescription description details text item lineitem position beschreibung bezeichnung
ChargeDescription: buchungstext libelle descripcion descrizione omschrijving
ResourceId: resourceid resource instance instanceid server serverid host hostname asset assetid rack rackid ressource
ResourceId: geraet
ResourceName: resourcename name
RegionId: regionid region location site datacenter datacentre standort rechenzentrum lieu sede
ConsumedQuantity: consumedquantity quantity qty usage usagequantity units count seats users licenses licences tokens
ConsumedQuantity: hours kwh gb menge anzahl verbrauch lizenzen nutzer stunden plaetze quantite cantidad quantita aantal
ConsumedUnit: consumedunit unit units_of_measure uom unitofmeasure measure einheit unite unidad unita eenheid
ContractedUnitPrice: contractedunitprice unitprice unitcost rate priceperunit priceperseat einzelpreis stueckpreis
ContractedUnitPrice: preisproeinheit prixunitaire preciounitario
InvoiceId: invoiceid invoice invoicenumber invoiceno rechnung rechnungsnummer rechnungsnr belegnummer facture
InvoiceId: numerofacture factura fattura
SkuId: skuid sku model modelname meter articlenumber articleid itemcode artikelnummer artikelnr modell
Tags: team department costcenter costcentre businessunit environment env owner abteilung kostenstelle kostentraeger
Tags: bereich umgebung departement departamento centrodecosto reparto afdeling
"""
"""FOCUS column: names that files give it. Of `Tags`, each is a tag of its own."""
_NAMED: Final = {
    squeezed(word): line.partition(":")[0] for line in _WORDS.split("\n") for word in line.partition(":")[2].split()
}
_CURRENCIES: Final = (
    "EUR",
    "USD",
    "CHF",
    "GBP",
    "JPY",
    "CAD",
    "AUD",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "INR",
    "SGD",
    "CNY",
)
_SIGNS: Final = {"€": "EUR", "£": "GBP", "US$": "USD"}
_UNITS: Final = ("€", "£", "$", "US$", *_CURRENCIES)
_NUMBER_FORMS: Final = ("1,234.56", "1.234,56", "1 234,56", "1'234.56", "1\u2019234.56")
_DATE_FORMS: Final = (
    "DD.MM.YYYY", "DD.MM.YYYY hh:mm", "DD.MM.YYYY hh:mm:ss", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "DD.MM.YY", "YYYY/MM/DD", "YYYYMMDD",
    "DD MMM YYYY", "MMM DD, YYYY", "DD-MMM-YYYY",
    "MM/DD/YYYY hh:mm:ss AM", "DD/MM/YYYY hh:mm:ss AM", "MM/DD/YYYY hh:mm AM", "MM/DD/YYYY hh:mm:ss", "DD/MM/YYYY hh:mm:ss",
    "MM/DD/YYYY hh:mm", "DD/MM/YYYY hh:mm", "YYYY-MM", "YYYY/MM", "MM.YYYY", "MM/YYYY", "MM-YYYY", "MMM YYYY", "MMMM YYYY", "YYYYMM",
)  # fmt: skip
_PLAIN: Final = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]-?[0-9]+)?")

Columns = Mapping[str, Sequence[str]]
"""Column of a file -> the first of its values, without nulls."""


@dataclass(slots=True)
class Proposal:
    """A mapping that a person should check.

    Attributes:
        columns: column of the file -> its FOCUS columns.
        constants: FOCUS column -> the value of every row.
        date_doubt: a comment, if the dates looked at may as well be of another form.
        missing: needed columns that the file does not have, as far as its names tell.
        skip: column of the file -> its values in rows that are no charges.
    """

    columns: dict[str, list[str]] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    number_form: str | None = None
    date_form: str | None = None
    date_doubt: str = ""
    charge_period: str = "day"
    last_day_included: bool = False
    missing: list[str] = field(default_factory=list)
    skip: dict[str, set[str]] = field(default_factory=dict)

    def toml(self) -> str:
        """Return the text of the mapping file; what is missing stands in it as comments."""
        lines = [
            f"charge_period = {_text(self.charge_period)}  # hour, day or month: how long a charge lasts where no column says so"
        ]
        if self.number_form:
            lines.append(f"number_form = {_text(self.number_form)}  # the number 1234.56 as the file writes it")
        if self.date_form:
            lines.append(f"date_form = {_text(self.date_form)}{self.date_doubt}")
        if self.last_day_included:
            lines.append("last_day_included = true  # a period ends with the day that the column names, not before it")
        lines += ["", "[columns]  # column of the file = its FOCUS column, or several"]
        for source, targets in self.columns.items():
            shown = [_text(one) for one in targets]
            lines.append(f"{_text(source)} = {shown[0] if len(shown) == 1 else '[' + ', '.join(shown) + ']'}")
        lines += [f'# "?" = {_text(one)}  # needed' for one in self.missing if one in (_COST, _START)]
        lines += ["", "[constants]  # FOCUS column = the value of every row"]
        lines += [f"{target} = {_text(value)}" for target, value in self.constants.items()]
        lines += [f'# {one} = "?"  # needed' for one in self.missing if one not in (_COST, "EffectiveCost", _START)]
        given = {*self.constants, *(one for targets in self.columns.values() for one in targets)}
        lines += [f'# {one} = "?"' for one in USEFUL if one not in given]
        if self.skip:
            lines += ["", "[skip]  # rows that are no charges: column of the file = its values in them"]
            lines += [
                f"{_text(name)} = [{', '.join(map(_text, sorted(values)))}]" for name, values in self.skip.items()
            ]
        return "\n".join(lines) + "\n"


def propose(columns: Columns) -> Proposal:
    """Propose a mapping for a file with these columns and first values."""
    found = Proposal()
    taken: set[str] = set()
    for source in columns:
        target = _target(source, columns[source], taken)
        if target is not None:
            taken.add(target)
            found.columns[source] = (
                [target, "EffectiveCost"] if target == _COST and "EffectiveCost" not in taken else [target]
            )
    for target in (_COST, _START):
        if target not in taken and (
            likely := _likely(target, {one: columns[one] for one in columns if one not in found.columns})
        ):
            found.columns[likely] = (
                [target, "EffectiveCost"] if target == _COST and "EffectiveCost" not in taken else [target]
            )
    found.columns = {source: found.columns[source] for source in columns if source in found.columns}
    _add_forms(found, columns)
    _add_constants(found, columns)
    given = {*found.constants, *(one for targets in found.columns.values() for one in targets)}
    found.missing = [one for one in NEEDED if one not in given]
    return found


def _squeezed(name: str) -> str:
    plain = (
        name.replace("ä", "ae")
        .replace("ö", "oe")
        .replace("ü", "ue")
        .replace("Ä", "Ae")
        .replace("Ö", "Oe")
        .replace("Ü", "Ue")
    )
    letters = "".join(one for one in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(one))
    return squeezed(re.sub(r"[([].*?[)\]]|[^\w\s.-]", " ", letters))


def _target(source: str, values: Sequence[str], taken: set[str]) -> str | None:
    own = next((name for name in BY_NAME if name.lower() == squeezed(source)), None)
    words = _without_currency(_squeezed(source))
    if _NAMED.get(words) == "Tags" and own is None:
        return f"Tags.{words}"
    target = own or _NAMED.get(words) or _of_category(values)
    if target is None or target in taken or not _fits(target, values):
        return None
    return target


def _likely(target: str, columns: Columns) -> str | None:
    """The one column that a needed one may be, by a part of its name or, of times, by its values."""
    words = (
        ("cost", "amount", "charge", "betrag", "kosten", "total", "spend", "gebuehr", "preis", "montant")
        if target == _COST
        else ("date", "day", "datum", "month")
    )
    fitting = [one for one, values in columns.items() if values and _fits(target, values)]
    named = [one for one in fitting if any(word in _squeezed(one) for word in words)]
    if target == _START and not named:
        named = [
            one for one in fitting if _date_form(columns[one]) or _are_all(columns[one], r"\d{4}-\d{2}(-\d{2}.*)?")
        ]
    if len(named) > 1:
        named = [one for one in named if "net" in _squeezed(one)]
    return named[0] if len(named) == 1 else None


def _without_currency(words: str) -> str:
    return next(
        (words.removesuffix(one.lower()) for one in _CURRENCIES if words.endswith(one.lower()) and len(words) > 3),
        words,
    )


def _of_category(values: Sequence[str]) -> str | None:
    is_one = values and {one.strip().lower() for one in values} <= {one.lower() for one in CHARGE_CATEGORIES}
    return "ChargeCategory" if is_one else None


def _fits(target: str, values: Sequence[str]) -> bool:
    """Whether the values may be of the type of a column; one without values may be of any."""
    if BY_NAME[target].kind is ColumnType.DECIMAL:
        return all(_PLAIN.fullmatch(one.strip()) for one in values) or _number_form(values) is not None
    if BY_NAME[target].kind is ColumnType.TIME:
        return all(re.search("[0-9]{2}", one) for one in values)
    if target == "BillingCurrency":
        return all(re.fullmatch("[A-Za-z]{3}", one.strip()) for one in values)
    return True


def _add_forms(found: Proposal, columns: Columns) -> None:
    kinds = {source: BY_NAME[targets[0]].kind for source, targets in found.columns.items() if targets[0] in BY_NAME}
    numbers = [one for source, kind in kinds.items() if kind is ColumnType.DECIMAL for one in columns[source]]
    times = [one for source, kind in kinds.items() if kind is ColumnType.TIME for one in columns[source]]
    if not all(_PLAIN.fullmatch(one.strip()) for one in numbers):
        found.number_form = _number_form(numbers)
    found.date_form = _date_form(times)
    turned = (found.date_form or "").replace("DD", "?").replace("MM", "DD", 1).replace("?", "MM")
    if turned in _DATE_FORMS and turned != found.date_form and _are_of(turned, times):
        found.date_doubt = f"  # or {_text(turned)}: no day above 12 shows which"
    if (found.date_form and "D" not in found.date_form) or (not found.date_form and _are_all(times, r"\d{4}-\d{2}")):
        found.charge_period = "month"
    by_target = {targets[0]: columns[source] for source, targets in found.columns.items()}
    found.last_day_included = _ends_with_last_day(by_target, found.date_form)


def _number_form(values: Sequence[str]) -> str | None:
    """The first form in which all values are numbers, with a unit if they have one."""
    for plain in _NUMBER_FORMS:
        for example in (plain, *(f"{plain} {unit}" for unit in _UNITS), *(f"{unit} {plain}" for unit in _UNITS)):
            form = NumberForm.of(example)
            if all(form.rewritten(one) is not None for one in values):
                return example
    return None


def _date_form(values: Sequence[str]) -> str | None:
    if not values or _are_all(values, r"\d{4}-\d{2}-\d{2}([T ].*)?"):
        return None
    return next((one for one in _DATE_FORMS if _are_of(one, values)), None)


def _are_of(date_form: str, values: Sequence[str]) -> bool:
    return all(DateForms((date_form,)).rewritten(text) is not None for text in values)


def _are_all(values: Sequence[str], pattern: str) -> bool:
    return bool(values) and all(re.fullmatch(pattern, one.strip()) for one in values)


def _ends_with_last_day(by_target: Mapping[str, Sequence[str]], date_form: str | None) -> bool:
    """Whether a period's end is its last day: the first row begins and ends on one day, or its end is the last day of a month."""
    form = DateForms((date_form,) if date_form else ())
    next_day = DateForms(form.patterns, includes_last_day=True)
    starts, ends = by_target.get(_START, ()), by_target.get("ChargePeriodEnd", ())
    for start, end in zip(starts, ends, strict=False):
        after = next_day.rewritten(end) or ""
        is_day = after != form.rewritten(end)
        if is_day and (form.rewritten(start) == form.rewritten(end) or after[8:10] == "01"):
            return True
    return False


def _add_constants(found: Proposal, columns: Columns) -> None:
    given = {one for targets in found.columns.values() for one in targets}
    if "BillingCurrency" not in given and (currency := _currency(found, columns)):
        found.constants["BillingCurrency"] = currency
    if "ChargeCategory" not in given:
        found.constants["ChargeCategory"] = "Usage"


def _currency(found: Proposal, columns: Columns) -> str | None:
    """The currency that the name of the column of costs, or the unit of its numbers, tells."""
    cost = next((source for source, targets in found.columns.items() if _COST in targets), "")
    unit = re.sub(r"[\d.,'\u2019\s]", "", found.number_form or "")
    in_name = next((one for one in _CURRENCIES if re.search(rf"(?<![A-Za-z]){one}(?![A-Za-z])", cost.upper())), None)
    signed = next((code for sign, code in _SIGNS.items() if sign in cost), None)
    return in_name or signed or _SIGNS.get(unit) or (unit if unit in _CURRENCIES else None)


def _text(value: str) -> str:
    escaped = "".join(
        f"\\u{ord(one):04x}" if one < " " or one == "\x7f" else one
        for one in value.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
