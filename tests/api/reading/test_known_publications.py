"""What is found in columns is what the publications say one by one, whatever was published later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.known_publications import KnownPublications
from optiinfra_api.reading.scan_budget import estimated_rows
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import Freshness
from optiinfra_assets.domain.publications import PublishedGeneration, ResolvedGenerations

INSTANT = datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=UTC)
PROVIDERS = {"a": "aws", "b": "gcp", "c": "aws"}

days = st.dates(date(2026, 1, 1), date(2026, 4, 30))
instants = st.integers(0, 10**13).map(lambda micros: INSTANT + timedelta(microseconds=micros))


@st.composite
def publications(draw: st.DrawFn, generation: int) -> PublishedGeneration:
    account = draw(st.sampled_from("abc"))
    first = draw(st.none() | days)
    return PublishedGeneration(
        slice=Slice("acme", PROVIDERS[account], account, BillingPeriod(2026, draw(st.integers(1, 4)))),
        generation=generation,
        published_at=draw(instants),
        line_items=draw(st.integers(0, 10**9)) if first else 0,
        first_charge_date=first,
        last_charge_date=first and first + timedelta(days=draw(st.integers(0, 40))),
        data_through=draw(st.none() | instants),
        is_final=draw(st.booleans()),
        is_simulated=draw(st.booleans()),
    )


@st.composite
def questions(draw: st.DrawFn) -> CostQuery:
    start = draw(st.none() | days)
    end = draw(st.none() | days.map(lambda day: day + timedelta(days=40)))
    providers = draw(st.lists(st.sampled_from(["aws", "gcp"]), unique=True))
    accounts = draw(st.lists(st.sampled_from("abcd"), unique=True))
    months = draw(st.lists(st.sampled_from(["2026-01", "2026-02", "2026-03", "2025-12"]), unique=True, max_size=2))
    return CostQuery(
        start, end, None, providers=tuple(providers), accounts=tuple(accounts), billing_periods=tuple(months)
    )


standings = st.builds(
    Freshness,
    disabled=st.frozensets(st.sampled_from("abc")),
    reached=st.dictionaries(st.sampled_from("abcd"), instants),
)


@given(data=st.data())
def test_columns_answer_what_publications_say(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 20))
    history = [data.draw(publications(generation)) for generation in range(1, number + 1)]
    known = KnownPublications.of((0, 0), ())
    for later in (history[: number // 2], history[number // 2 :]):
        fingerprint = known.fingerprint[0] + len(later), known.fingerprint[1] + sum(one.generation for one in later)
        assert known.with_later((fingerprint[0] + 1, fingerprint[1]), later) is None
        assert known.with_later((fingerprint[0], fingerprint[1] + 1), later) is None
        found = known.with_later(fingerprint, later)
        assert found is not None
        known = found
    current = {one.slice: one for one in history}
    for standing in data.draw(st.lists(standings, min_size=1, max_size=2)):
        known.stand(standing)
        question = data.draw(questions())
        chosen = [
            one
            for one in current.values()
            if (not question.providers or one.slice.provider in question.providers)
            and (not question.accounts or one.slice.account_id in question.accounts)
        ]
        expected = ResolvedGenerations.of(chosen, question.start, question.end, standing)
        if question.billing_periods:
            expected = expected.of_billing_periods(question.billing_periods)
        resolved = known.resolved(question)
        assert set(resolved.generations) == set(expected.generations)
        assert set(resolved.publications) == set(expected.publications)
        ours, theirs = (replace(one, generations=(), publications=(), extent=None) for one in (resolved, expected))
        assert ours == theirs
        assert resolved.is_simulated == expected.is_simulated
        rows = [estimated_rows("SELECT 1 FROM raw_costs", question, one) for one in (resolved, expected)]
        assert abs(rows[0] - rows[1]) <= 1
        used = [one.slice.billing_period.start.date() for one in chosen if one.generation in set(resolved.generations)]
        assert resolved.extent is not None
        assert (resolved.extent.first_period, resolved.extent.last_period) == (
            min(used, default=None),
            max(used, default=None),
        )


@given(data=st.data())
def test_what_is_held_of_all_generations_is_used_for_those_of_a_question_only(data: st.DataObject) -> None:
    known = KnownPublications.of((0, 0), [data.draw(publications(generation)) for generation in range(1, 6)])
    start = data.draw(days)
    end = start + timedelta(days=data.draw(st.integers(1, 60)))
    question = CostQuery(start, end, None)
    assert known.of_all_days([1], start, end) is None, "nobody asked yet"
    asked = list(known.resolved(question).generations)
    everything = known.of_all_days(asked, start, end)
    assert everything is not None
    assert everything.tolist() == [1, 2, 3, 4, 5]
    assert known.of_all_days(asked, start, end) is everything
    for other in ([*asked, 6], asked[:-1] if asked else [1], [one + 1 for one in asked] or [2]):
        assert known.of_all_days(other, start, end) is None
    assert known.of_all_days(asked, start, end + timedelta(days=1)) is None
