"""What people, and what throwaway accounts, call themselves."""

from random import Random

from consumer.simulation.words import words

_FIRST = words(
    "adam ahmed aiko alex alice amina ana andrei anna antonio arjun ben camille carlos chen clara daniel david deepak"
    " diego elena emma eva fatima felix gabriel grace hana hans helen ivan james jan jana jing john jose julia kamal"
    " karl katya kevin laura lena leo li linda luca lucia maria mark marta martin matt mei michal mohamed nadia nicolas"
    " nina olga omar pablo paul pedro peter priya rahul robert rosa sam sara sergei sofia stefan sumit thomas tomas"
    " victor wei yuki zoe"
)
_LAST = words(
    "abbas almeida anderson bauer becker brown castro chandra chowdhury clark cohen costa davies diaz dubois dvorak"
    " eriksson fernandez fischer garcia goldschmidt gomez gonzalez gupta haas hansen horvath hughes ito ivanov jackson"
    " jansen jensen jones kaur khan kim knight kovacs kowalski kumar lam larsen lee lewis lopez ludwig martinez meyer"
    " miller mishra moreau nakamura nguyen novak okafor oliveira osman park patel petrov popescu qureshi reyes rossi"
    " santos sato schmidt schneider schultz schwartz sharma silva singh smith sokolov suzuki svensson tanaka taylor"
    " torres tran vargas vogel wagner walsh wang weber williams wright yamamoto yang yilmaz zhang"
)
_ONSETS = words("b br c ch d f g gr h j k l m n p r s st t v y")
_VOWELS = words("a e i o u ia ei")
_LETTERS = "abcdefghijklmnoprstvwz"
_CODAS = ("", "", "", "n", "r", "s", "l", "k")

#: What honest people call themselves by the dozen: one pattern, no campaign.
_FANS = ("linuxuser", "fedorafan", "tux", "penguin", "gamer", "hacker", "opensource", "rpmlover")

#: Share of people who end their name in digits by choice; some more have to, because the name is taken.
_CHOOSE_DIGITS = 0.17

_TRADES = ("support", "loan", "crypto", "pills", "movers", "casino", "packers", "refund", "escort", "seo", "watch")
_ADJECTIVES = ("best", "cheap", "fast", "top", "online", "royal", "global", "smart", "easy", "prime")
_CONSONANTS = "bcdfghjklmnpqrstvwxz"

#: Shares among throwaway names, after past waves of spam: 24 % of numbered families, 13 % with a run of five or more
#: consonants, 47 % ending in digits.
_OF_A_FAMILY = 0.24
_CONSONANT_RUN = 0.13
_RUN_WITH_DIGITS = 0.4
_OTHERS_WITH_DIGITS = 0.28

#: Chance that a numbered family is a new one.
_NEW_FAMILY = 0.2


class Names:
    """Names that nobody has yet."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()
        self._families: list[str] = []

    def ordinary(self) -> str:
        """A name as people choose them."""
        rng = self._rng
        shape, first, last = rng.random(), rng.choice(_FIRST), rng.choice(_LAST)
        if shape < 0.28:
            name = first + last
        elif shape < 0.40:
            name = f"{first}-{last}"
        elif shape < 0.45:
            name = first[0] + last
        elif shape < 0.60:
            name = first[0] + rng.choice(_LETTERS) + last
        elif shape < 0.65:
            name = first + last[:2]
        elif shape < 0.68:
            return self.claim(f"{rng.choice(_FANS)}{rng.randrange(1, 3000)}")
        else:
            name = self._nickname()
        return self.claim(name + self._digits() if rng.random() < _CHOOSE_DIGITS else name)

    def throwaway(self) -> str:
        """A name as spammers choose them."""
        rng, luck = self._rng, self._rng.random()
        if luck < _OF_A_FAMILY:
            if not self._families or rng.random() < _NEW_FAMILY:
                self._families.append(self.stem())
            return self.claim(f"{rng.choice(self._families)}{rng.randrange(10, 10_000)}")
        if luck < _OF_A_FAMILY + _CONSONANT_RUN:
            run = "".join(rng.choice(_CONSONANTS) for _ in range(rng.randrange(5, 8)))
            name = rng.choice("aeiou") + run + rng.choice("aeiou")
            return self.claim(name + self._digits() if rng.random() < _RUN_WITH_DIGITS else name)
        name = self.stem() if rng.random() < 0.5 else f"{rng.choice(_FIRST)}-{rng.choice(_LAST)}"
        return self.claim(name + self._digits() if rng.random() < _OTHERS_WITH_DIGITS else name)

    def stem(self) -> str:
        """What the numbered names of one campaign have in common; it may have been used before."""
        rng = self._rng
        return (
            rng.choice(_ADJECTIVES) + rng.choice(_TRADES)
            if rng.random() < 0.3
            else rng.choice(_FIRST) + self._nickname()
        )

    def claim(self, name: str) -> str:
        """The name, or the name with further digits where somebody has it."""
        while name in self._taken:
            name += str(self._rng.randrange(10))
        self._taken.add(name)
        return name

    def _nickname(self) -> str:
        rng = self._rng
        syllables = 2 + (rng.random() < 0.4)
        return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))

    def _digits(self) -> str:
        """A lucky number, a year of birth, a year."""
        rng = self._rng
        return str(rng.choice((rng.randrange(1, 100), rng.randrange(1, 1000), rng.randrange(1965, 2012))))
