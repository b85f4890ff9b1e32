"""A fingerprint by which copies of one text are known, whatever numbers, links and dressing they carry."""

import re
from hashlib import blake2b
from unicodedata import normalize

#: Fewer letters say too little: "thanks!" from many people is no campaign.
_FEWEST_LETTERS = 12

#: Longer texts are told apart by their beginning. Characters.
_LONGEST = 4_000

#: A link and its host; what follows the host differs from copy to copy.
_LINK = re.compile(r"(?:https?://|www\.)([^\s/?#<>\"')\]]*)[^\s<>\"')\]]*")

# Most of most texts is ASCII: bytes lose what is no letter many times faster than texts do.
_NO_ASCII_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def content_hash(text: str) -> str | None:
    """16 hex digits, the same for texts of the same letters in the same order; None where hardly any remain.

    Case, digits, punctuation, white space, and a link's path and query make no difference.
    """
    folded = normalize("NFKC", normalize("NFKC", text[:_LONGEST]).casefold())
    if "://" in folded or "www." in folded:
        folded = "".join(_LINK.split(folded))
    letters = folded.encode(errors="ignore").translate(None, _NO_ASCII_LETTERS).decode()
    if not letters.isascii():
        letters = _NOT_ASCII.sub(_letters, letters)
    if len(letters) < _FEWEST_LETTERS:
        return None
    return blake2b(letters.encode(), digest_size=8).hexdigest()


def _letters(run: re.Match[str]) -> str:
    return "".join(filter(str.isalpha, run[0]))
