"""The page's addresses: each says its view, and every view is reachable."""

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from metrics.page.view import FEWEST, MOST, View, view_of
from state.rules import POPULATIONS

views = st.builds(
    lambda population, weeks, beside: View(population, weeks, beside and "clean" not in population),
    st.sampled_from(POPULATIONS),
    st.integers(FEWEST, MOST),
    st.booleans(),
)


def read(href: str) -> View:
    return view_of(QueryParams(href.removeprefix("?")))


@given(views)
def test_an_address_says_its_view(view: View) -> None:
    assert read(view.href) == view


@given(views)
def test_of_every_switch_one_choice_holds_and_it_leads_here(view: View) -> None:
    for group in view.choices():
        (taken,) = [choice for choice in group.choices if choice.is_taken]
        assert read(taken.href) == view
        assert len({choice.href for choice in group.choices}) == len(group.choices)


@given(views, views)
def test_every_view_is_three_switches_away(view: View, wanted: View) -> None:
    for place in range(3):
        found = [read(choice.href) for choice in list(view.choices())[place].choices]
        same = [
            next(
                (v for v in found if v.with_spam == wanted.with_spam),
                view,
            ),
            next((v for v in found if (v.population in wanted.populations, v.beside) == (True, wanted.beside)), view),
            next((v for v in found if v.weeks == wanted.weeks), view),
        ]
        view = same[place]
    assert view._replace(weeks=0) == wanted._replace(weeks=0)


def test_both_populations_are_shown_side_by_side() -> None:
    assert read("?population=engaged_clean&view=beside").populations == ("engaged", "engaged_clean")
    assert read("?population=clean&view=beside").populations == ("all", "clean")
    assert read("?population=clean").populations == ("clean",)


def test_unknown_parameters_change_nothing() -> None:
    assert read("?utm_source=mail") == View()
