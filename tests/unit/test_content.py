"""Copies of one text have one fingerprint; what says little has none."""

import re
import string
from unicodedata import normalize

from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.content import content_hash

ADVERT = "Best airline refund desk: call now, friendly agents are waiting"

#: Nothing here is a letter, and none of it makes a link or joins a letter into another one.
NOISE = st.text(alphabet=string.digits + string.whitespace + ".,;!?#-_+*()'\"…–", max_size=4)

#: Texts without links, in which dots and colons mean nothing.
TEXTS = st.text().filter(lambda text: not re.search("://|www", normalize("NFKC", text).casefold()))


@given(TEXTS)
def test_case_folding_and_normal_form_make_no_difference(text: str) -> None:
    expected = content_hash(text)
    assert expected == content_hash(text.casefold())
    assert expected == content_hash(normalize("NFKC", text))
    assert expected == content_hash(normalize("NFD", text))


@given(
    st.text(alphabet=string.ascii_letters + "äöüßéñжшд ", min_size=1).filter(lambda t: "www" not in t.lower()),
    st.data(),
)
def test_digits_punctuation_and_space_make_no_difference(text: str, data: st.DataObject) -> None:
    noisy = "".join(data.draw(NOISE) + letter for letter in text) + data.draw(NOISE)
    assert content_hash(text) == content_hash(noisy)


@given(st.text(alphabet=string.ascii_lowercase, max_size=60), st.text(alphabet=string.ascii_lowercase, max_size=60))
def test_other_letters_are_another_text(one: str, other: str) -> None:
    assume(one != other)
    assume("www" not in one + other)
    hashes = content_hash(one), content_hash(other)
    assert hashes == (None, None) or hashes[0] != hashes[1]


@given(st.text(alphabet=string.ascii_letters, min_size=11, max_size=12))
def test_twelve_letters_are_the_least(text: str) -> None:
    assert (content_hash(text) is None) == (len(text) < 12)
    assert (content_hash("é" + text[1:]) is None) == (len(text) < 12)


@given(st.text(max_size=300))
def test_a_hash_is_sixteen_digits_and_no_text_raises(text: str) -> None:
    found = content_hash(text + "\ud800")  # half a surrogate pair: JSON can carry it
    assert found is None or re.fullmatch("[0-9a-f]{16}", found)


def test_two_numbered_adverts_are_one() -> None:
    one = f"{ADVERT} advert #12 +1-800-555-0199 https://offers.example/a1b2c3?ref=12"
    two = f"{ADVERT.upper()}  ADVERT #13\n(+1 800 555 0100) https://offers.example/ffee?ref=7&utm=zzz"
    assert content_hash(one) == content_hash(two) is not None
    assert content_hash(one) != content_hash(one.replace("offers", "bargains"))


def test_markup_around_a_link_is_no_part_of_it() -> None:
    assert content_hash(f'{ADVERT} <a href="https://x.example/abc">here</a>') == content_hash(
        f"{ADVERT} [a href](http://x.example/def?g=h) here, a"
    )


def test_thanks_and_numbers_have_none() -> None:
    assert [content_hash(text) for text in ("", "Thanks!", "+1", "1234567890 1234567890 12345", "!" * 99)] == [None] * 5
