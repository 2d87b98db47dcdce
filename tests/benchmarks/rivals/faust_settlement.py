"""Settlement on Faust: `python -m ... BOOTSTRAP GROUP RECORDS_PER_COMMIT GUARANTEE STATE_FOLDER`."""

import asyncio
import sys

import faust

from schemas.topics import CHARGED, SCORED, SETTLED
from tests.benchmarks.rivals.settling import settler

SESSION_S = 3.0  # as our stage has it in this comparison; the default is longer
WAIT_S = 0.05  # for a batch to fill


def main(bootstrap_servers: str, group: str, records: int, guarantee: str, state: str) -> None:
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap_servers}",
        datadir=state,
        store="memory://",
        processing_guarantee=guarantee,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=SESSION_S / 4,
        broker_commit_every=records,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        web_enabled=False,
    )
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    targets = {topic.name: app.topic(topic.name, **raw) for topic in (SETTLED, CHARGED)}
    settle = settler()

    @app.agent(app.topic(SCORED.name, **raw))  # type: ignore[untyped-decorator]
    async def settlement(stream: "faust.Stream[bytes]") -> None:
        async for events in stream.take_events(records, within=WAIT_S):
            sent = [
                await targets[out.topic].send(key=out.key, value=out.value, headers=dict(out.headers))
                for event in events
                for out in settle(event.message.key, event.message.value, tuple(dict(event.headers).items()))
            ]
            await asyncio.gather(*sent)

    faust.Worker(app, loglevel="WARN", redirect_stdouts=False, logging_config=None).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
