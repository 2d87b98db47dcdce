"""JSON Schema 2020-12 documents of the events: generated from the models, committed in `published/`, pinned."""

import json
from pathlib import Path
from typing import Any

from schemas.topics import TOPICS, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = Path(__file__).parent / "published"


def document(topic: Topic) -> dict[str, Any]:
    """The schema of the values of one topic."""
    return {"$schema": DIALECT, "$id": f"urn:tessera:schema:{topic.name}", **topic.payload.model_json_schema()}


def files() -> dict[str, str]:
    """File name and text of every document."""
    return {
        f"{topic.name}.schema.json": json.dumps(document(topic), indent=2, ensure_ascii=False) + "\n"
        for topic in TOPICS
    }


def export(folder: Path) -> list[Path]:
    """Write every document into `folder`, which is made if need be; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in files()]
    for path, text in zip(paths, files().values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
