"""The guide to language models says nothing of a server that its engine does not do."""

import re
from pathlib import Path

from workers.engines.openai_http.completions import sampling_body, scoring_body

GUIDE = Path(__file__).parents[2] / "infra" / "engines.md"


def test_a_server_is_started_by_priority_only_if_requests_have_one() -> None:
    bodies = sampling_body("base", (5,), 1, 1), scoring_body("base", (5,), (6,))
    sends = all("priority" in body for body in bodies)
    (command,) = re.findall(
        r"^    python -m vllm\.entrypoints\.openai\.api_server(?:.*\\\n)*.*", GUIDE.read_text(), re.M
    )

    assert ("--scheduling-policy priority" in command) == sends
