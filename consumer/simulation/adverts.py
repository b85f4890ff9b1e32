"""What spam says: a title, a line break, a body."""

from random import Random

from consumer.simulation.words import words

_OFFERS = (
    "customer support line",
    "instant loan offer",
    "watch the match free",
    "airline refund desk",
    "crypto wallet recovery",
    "cheap licence keys",
    "packers and movers",
    "printer setup help",
)
_PRAISE = ("trusted", "official", "verified", "toll free", "best rated", "round the clock", "genuine", "certified")
_PLACES = ("delhi", "texas", "lagos", "dubai", "london", "manila", "karachi", "toronto", "sydney", "mumbai")
_FILLER = words(
    "our experts solve every problem in minutes just call now and speak to a friendly agent about your account"
    " refunds are fast safe and simple many happy clients say it works so do not wait visit today limited places"
)


def advert(rng: Random) -> str:
    """A text of one's own: its words differ from any other advert's."""
    title = f"{rng.choice(_PRAISE)} {rng.choice(_OFFERS)} {rng.choice(_PLACES)}"
    return f"{title}\n{title}: {' '.join(rng.choices(_FILLER, k=12))}"


def numbered(text: str, rng: Random) -> str:
    """The same words with another number to call and another link."""
    number, link = (
        rng.randrange(1000, 9999),
        f"https://offers.example/{rng.getrandbits(24):06x}?ref={rng.randrange(999)}",
    )
    return f"{text} #{rng.randrange(1, 2000)} call +1-800-{number} {link}"
