"""Lists of words."""


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())
