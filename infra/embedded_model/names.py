"""Brand names: a generator, and which names training never sees.

They are joined words, pronounceable or random letters, two words, end in digits, or are written in an odd way (all
capitals, no capital, inner points, accents).  A fixed eighth of all names is kept for evaluation, and so are the names
of the demo's advertisers.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable

from .held_out import holds_out_name
from .subjects import subjects

WIDE_ADJECTIVES = (
    "vegan red wooden tiny silent solar frozen vintage digital daily gentle rare spicy salted woolen steel paper "
    "royal wild northern mobile private public legal medical secure fast family children student winter summer "
    "ocean mountain city"
).split()
WIDE_NOUNS = (
    "snacks treats lamps boots candles clocks maps puzzles drones sofas kites tents boats soap tea cheese honey "
    "juice insurance advice tickets haircuts repairs lessons software websites batteries engines windows doors "
    "bricks curtains jewelry watches rings glasses hats coats gloves scarves toys games books magazines posters "
    "paintings flowers furniture robots cars trucks scooters taxis trains parking storage cleaning delivery "
    "catering weddings parties concerts movies podcasts"
).split()

FIRST = (
    "Easy Kitchen Music Insta Bright Green Swift Happy Clear Blue Prime Nova Urban Fresh Solid Golden Quick Pure "
    "Smart Silver Star Cloud River Stone Sun Moon Peak True Bold Zen Metro Alpha Lumi Vita Aero Terra Pixel Echo "
    "Flora Trek Red Gentle North South Wild Iron Cozy Daily Honest Little Grand Royal Rapid Magic Sweet Sharp "
    "Calm Tidy Lucky Merry Noble Ocean Forest Maple Cedar Amber Coral Velvet Crisp Fast Deep High Open Super "
    "Ever Home Tech Data Food Travel Garden Photo Money Coffee Run Sleep Pet Bike Desk Lingo"
).split()
SECOND = (
    "Bake Fix Mastery Tune Works Hub Lab Craft Path Way Nest Gear Box Base Flow Wise Mart Pro Kit Zone Link "
    "Spark Mind Point Shop Club Field House Care Line Forge Dash Leaf Loop Root Ware Pal Go Den Space Bean Bloom "
    "Crew Deck Edge Farm Gate Hive Joy Key Land Mate Note Pack Quest Ride Shelf Stop Team Trail Vault Ville Walk "
    "Wave Yard Bird Fox Bear Wolf Cat Tree Bridge Barn Chef Coach Guide Genius Express Direct Plus Now Online "
    "Central"
).split()
BUSINESS = (
    "Foods Studio Supply Travel Labs Homes Music Garden Brothers Group Store Sports Goods Services Company "
    "Market Kitchen Design Outdoors Systems"
).split()
ONSETS = (
    "b c d f g h j k l m n p r s t v w y z br ch cl cr dr fl fr gl gr kl kr pl pr sh sk sl sn sp st th tr tw qu "
    "kv zw ps vl hj mj fj ts dw pf wr mn sv gw kn schm sch zh rh x q"
).split()
VOWELS = "a e i o u a e i o u ai ea ee ia io oo ou y eu ie au oe aa uu".split()
CODAS = "l,n,r,s,t,k,m,x,nd,ng,rt,st,sh,ck,ll,lt,mp,b,d,f,g,p,z,v,rg,nk,ft,tz,rp,lf,bb,ff,tt".split(",")
SUFFIXES = "ly ify io ix o a era ora ium ia ster ware hub ery opia ness heim haus werk by ling".split()
LETTERS = "eeeeaaaaiiiooouutttnnnsssrrrlllddhhccmmppggbbffyywwkkvvxzjq"
CONSONANTS = "bcdfghjklmnpqrstvwxz"
NUMBERS = (1, 2, 3, 7, 9, 24, 42, 365)

ACCENTS = {"a": "áàäâå", "e": "éèêë", "o": "óöôø", "u": "úüû", "n": "ñ", "c": "ç", "i": "íï"}


def _words() -> list[str]:
    text = [part for one in subjects().values() for part in (*one.tips, *one.goods, *one.nouns)]
    found = re.findall(r"[a-z]{3,9}", " ".join(text).lower())
    return sorted({*found, *WIDE_ADJECTIVES, *WIDE_NOUNS, *(word.lower() for word in FIRST + SECOND)})


WORDS = _words()


def syllables(rng: random.Random, count: int) -> str:
    """A pronounceable word that means nothing."""
    parts = []
    for index in range(count):
        onset = "" if index == 0 and rng.random() < 0.12 else rng.choice(ONSETS)
        coda = rng.choice(CODAS) if rng.random() < 0.45 else ""
        parts.append(onset + rng.choice(VOWELS) + coda)
    return "".join(parts).capitalize()


def _letters(rng: random.Random) -> str:
    """Letters at random, or random pieces of words; sometimes in capitals."""
    draw = rng.random()
    if draw < 0.35:
        name = "".join(rng.choice(LETTERS) for _ in range(rng.randint(3, 9)))
    elif draw < 0.5:
        name = "".join(rng.choice(CONSONANTS + LETTERS) for _ in range(rng.randint(3, 7)))
    else:
        words = [rng.choice(WORDS) for _ in range(rng.choice((2, 2, 3)))]
        starts = [rng.randrange(max(1, len(word) - 3)) for word in words]
        name = "".join(word[start : start + rng.randint(2, 5)] for word, start in zip(words, starts, strict=True))
    draw = rng.random()
    return name.upper() if draw < 0.08 else name if draw < 0.12 else name.capitalize()


def _word_compound(rng: random.Random) -> str:
    first, second = (rng.choice(WORDS) for _ in range(2))
    if rng.random() < 0.3:
        second = rng.choice(SUFFIXES + SUFFIXES + [second[:4]])
    joint = rng.choice(("", "", "", "", " ", "-"))
    return first.capitalize() + joint + (second.capitalize() if joint or rng.random() < 0.6 else second)


def reserved(name: str) -> bool:
    """Whether training never uses ``name``: a fixed eighth of all names."""
    return zlib.crc32(name.lower().encode()) % 8 == 0


def _compound(rng: random.Random) -> str:
    return rng.choice(FIRST) + rng.choice(SECOND)


def _odd(rng: random.Random) -> str:
    """An odd way of writing: capitals, no capital, points, accents, an apostrophe, a plus."""
    name = rng.choice((_compound, _letters, _word_compound))(rng)
    change: Callable[[str], str] = rng.choice(
        (
            str.upper,
            str.lower,
            lambda text: f"{text}.{rng.choice(('com', 'io', 'net', 'org', 'eu'))}",
            lambda text: f"{text}{rng.choice('+!')}",
            lambda text: f"{syllables(rng, 2)}'s {text}",
            lambda text: "".join(rng.choice(ACCENTS[a]) if a in ACCENTS and rng.random() < 0.5 else a for a in text),
            lambda text: text[0].lower() + text[1:],
            lambda text: f"The {text}",
        )
    )
    return change(name)


def _any_name(rng: random.Random) -> str:
    """A name of a kind drawn at random."""
    kind = rng.random()
    if kind < 0.24:
        return _compound(rng)
    if kind < 0.40:
        return syllables(rng, rng.choice((1, 2, 2, 2, 3, 3)))
    if kind < 0.48:
        return syllables(rng, rng.choice((1, 2, 2))) + rng.choice(SUFFIXES)
    if kind < 0.52:
        return rng.choice(FIRST) + rng.choice(SECOND + SUFFIXES).lower()
    if kind < 0.70:
        return _word_compound(rng)
    if kind < 0.88:
        return _letters(rng)
    if kind < 0.93:
        head = rng.choice((syllables(rng, 2), _letters(rng), rng.choice(FIRST)))
        return f"{head} {rng.choice(BUSINESS) if rng.random() < 0.6 else rng.choice(WORDS).capitalize()}"
    if kind < 0.95:
        return (syllables(rng, 2) if rng.random() < 0.5 else rng.choice(FIRST)) + str(rng.choice(NUMBERS))
    if kind < 0.98:
        return _odd(rng)
    tail = rng.choice(BUSINESS) if rng.random() < 0.5 else syllables(rng, rng.choice((1, 2)))
    return f"{syllables(rng, rng.choice((1, 2)))} & {tail}"


def _draw_name(rng: random.Random, make: Callable[[random.Random], str], held: bool) -> str:
    while reserved(name := make(rng)) != held or holds_out_name(name):
        pass
    return name


def brand_name(rng: random.Random, held: bool = False) -> str:
    """A random brand; one of the eighth that training never uses when `held`."""
    return _draw_name(rng, _any_name, held)


def compound_name(rng: random.Random, held: bool = False) -> str:
    """Two joined words, the style of the paper's brands (EasyBake, MusicMastery)."""
    return _draw_name(rng, _compound, held)


def look_alike(rng: random.Random, name: str) -> str:
    """A brand that shares the first or the last half with `name`: whoever copies must not mix them up."""
    half = len(name) // 2
    return _draw_name(rng, lambda random: _mixed(random, name, half), held=False)


def _mixed(rng: random.Random, name: str, half: int) -> str:
    other = _any_name(rng)
    return name[:half] + other[len(other) // 2 :] if rng.random() < 0.5 else other[: len(other) // 2 + 1] + name[half:]
