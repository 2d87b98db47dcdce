"""The map that an audit remembers closed auctions in."""

import tracemalloc

from workers.audit.disk_map import AT_HAND, DiskMap

MANY = 10 * AT_HAND


def filled(entries: int) -> DiskMap:
    map_ = DiskMap()
    for number in range(entries):
        map_.put(f"id-{number}", f"text {number}")
    return map_


def test_what_was_put_in_is_found_however_much_has_come_since() -> None:
    map_ = filled(MANY)

    assert [map_.get(f"id-{number}") for number in (0, AT_HAND, MANY - 1)] == [
        "text 0",
        f"text {AT_HAND}",
        f"text {MANY - 1}",
    ]
    assert map_.get("another") is None


def test_an_entry_on_disk_can_be_replaced_and_removed() -> None:
    map_ = filled(MANY)

    map_.put("id-0", "new")
    map_.remove("id-1")

    assert (map_.get("id-0"), map_.get("id-1")) == ("new", None)
    map_.put("id-1", "once more")
    for number in range(MANY):
        map_.put(f"later-{number}", "")
    assert (map_.get("id-0"), map_.get("id-1")) == ("new", "once more")


def test_memory_does_not_grow_with_the_entries() -> None:
    """Of Python's objects; SQLite's cache has a bound of its own."""
    tracemalloc.start()
    try:
        map_ = filled(2 * AT_HAND + 1)
        few = tracemalloc.get_traced_memory()[0]
        for number in range(MANY):
            map_.put(f"more-{number}", f"text {number}")
        assert tracemalloc.get_traced_memory()[0] < 2.5 * few
    finally:
        tracemalloc.stop()
