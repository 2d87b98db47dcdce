"""A receipt as one self-contained HTML page: no network, no library; it recomputes its charges where it is opened."""

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from schemas.receipt import AdvertiserReceipt, AuditorReceipt, Receipt
from workers.web.receipt import evidence, sections
from workers.web.receipt.what_if import what_if

_HOLE = re.compile(r"\{\{(\w+)\}\}")
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page(receipt: Receipt, problems: Sequence[str]) -> str:
    """The whole page, at its top `problems`, the sentences of `recheck`.

    Every text of a stranger is escaped, and the policy lets no script run but the page's own.
    """
    whose = "Auditor’s receipt" if isinstance(receipt, AuditorReceipt) else f"Receipt for {receipt.advertiser.name}"
    return _fill(
        _part("page.html"),
        {
            "policy": escape(_policy()),
            "title": escape(f"{whose}, {receipt.query_id}"),
            "style": _part("page.css"),
            "body": _body(receipt, whose, problems),
            "receipt": embedded(receipt),
            "script": _part("page.js"),
        },
    )


def embedded(receipt: Receipt) -> str:
    """The receipt's JSON for a script block: nothing in it can end the block or start another."""
    return re.sub("[<>&\u2028\u2029]", lambda found: _UNSAFE[found[0]], receipt.model_dump_json())


def _body(receipt: Receipt, whose: str, problems: Sequence[str]) -> str:
    parts = [sections.head(receipt, whose), sections.problems(problems)]
    parts += [sections.query(receipt), sections.reply(receipt)]
    if isinstance(receipt, AdvertiserReceipt):
        parts += [sections.candidates_of_advertiser(receipt), sections.moves_of_advertiser(receipt)]
    else:
        parts += [sections.candidates_of_auditor(receipt), *sections.moves_of_auditor(receipt)]
        parts += [what_if(receipt)]
    return "\n".join([*parts, evidence.draw(receipt), evidence.digests(receipt), evidence.foot(receipt)])


def _policy() -> str:
    """No request of any kind; only this page's script, by its hash. Styles are inline."""
    own = base64.b64encode(sha256(_part("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{own}'; base-uri 'none'; form-action 'none'"
    )


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Every hole filled once; what is filled in is not searched for holes."""
    return _HOLE.sub(lambda found: values[found[1]], template)


@cache
def _part(name: str) -> str:
    return files("workers.web.receipt").joinpath(name).read_text(encoding="utf-8")
