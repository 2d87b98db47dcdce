"""What keeps an old committed offset from billing twice, each part of it switched off: only a campaign does that."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from workers.stream.once import Once, Repeated, ScoredAgain

WITHOUT = "CHAOS_WITHOUT"  # the variable that names, in a worker's environment, what it goes without


def forget() -> None:
    """Settlement settles an auction that it knows again. Another auction of a known query id is still refused."""
    refuse_known = Once._refuse_known

    def refuse_only_others(once: Once, event: Any) -> None:
        with suppress(Repeated, ScoredAgain):
            refuse_known(once, event)

    Once._refuse_known = refuse_only_others  # type: ignore[method-assign]


#: By name: `memory` of what is settled.
WALLS: dict[str, Callable[[], None]] = {"memory": forget}


def take_down(names: str) -> None:
    """Those named, with commas between."""
    for name in filter(None, names.split(",")):
        WALLS[name]()
