"""What an event is to the detector: a post, a sign-up, or anything else that somebody did or that was done to them."""

from state.rules import Rules

#: Beside the weight classes of posts: anything else, and the creation of an account.
PASSIVE, CREATION = -1, -2

#: Topics that are remembered; a bus has some hundred.
_TOPICS_KEPT = 65_536


class Kinds(dict[str, int]):
    """Topic -> what its actor does; worked out once."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._rules = rules

    def __missing__(self, topic: str) -> int:
        """Work it out."""
        if len(self) >= _TOPICS_KEPT:
            self.clear()
        kind = CREATION if self._rules.registers(topic, "actor") else self._rules.kind_of(topic)
        self[topic] = PASSIVE if kind is None else kind
        return self[topic]
