"""An engine that can be killed and slowed: `python -m tests.game_day.engine PORT FILE` answers as a vLLM server does.

FILE holds the seconds that it takes over each answer of the model.
"""

import asyncio
import sys
from pathlib import Path

from tests.support.vllm_stand_in import Connection, Request, StandIn


async def main(port: int, delay: Path) -> None:
    """For ever."""
    stand_in = StandIn()

    async def slow(request: Request, _: Connection) -> bytes:
        await asyncio.sleep(float(delay.read_text()))
        return await stand_in.answered(request)

    stand_in.behaviours["/v1/completions"] = slow
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
