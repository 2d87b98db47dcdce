"""JSON Schema 2020-12 of events, receipts and dead letters: from the models, committed in `published/`, pinned."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.dead_letter import DOCUMENT, DeadLetterHeaders
from schemas.descriptions import described
from schemas.position import StagePosition
from schemas.receipt import AdvertiserReceipt, AuditorReceipt
from schemas.statement import Statement
from schemas.topics import TOPICS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = Path(__file__).parent / "published"


#: Receipts and statements are documents for people and their programs; no topic carries them.
RECEIPTS: dict[str, type[BaseModel]] = {
    "receipt.auditor.v1": AuditorReceipt,
    "receipt.advertiser.v1": AdvertiserReceipt,
    "statement.advertiser.v1": Statement,
}
#: The headers of dead letters: their values are whatever was refused.
HEADERS: dict[str, type[BaseModel]] = {DOCUMENT: DeadLetterHeaders}
#: Values of topics of which each stage has one of its own.
OF_EACH_STAGE: dict[str, type[BaseModel]] = {StagePosition.event_type: StagePosition}
DOCUMENTS = {topic.name: topic.payload for topic in TOPICS} | OF_EACH_STAGE | RECEIPTS | HEADERS


def document(name: str) -> dict[str, Any]:
    """The schema of the values of a topic or kind of topic, of a kind of receipt, or of the headers of dead letters."""
    schema = described(DOCUMENTS[name].model_json_schema())
    return {"$schema": DIALECT, "$id": f"urn:tessera:schema:{name}", **schema}


def files() -> dict[str, str]:
    """File name and text of every document."""
    return {
        f"{name}.schema.json": json.dumps(document(name), indent=2, ensure_ascii=False) + "\n" for name in DOCUMENTS
    }


def export(folder: Path) -> list[Path]:
    """Write every document into `folder`, which is made if need be; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in files()]
    for path, text in zip(paths, files().values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
