"""Topics that a test makes by itself, beside those of the product."""

from collections.abc import Iterable
from functools import partial

from aiokafka.errors import LeaderNotAvailableError, for_code

from workers.stream.connection.admin_client import Cluster, TopicPlan


async def make_topics(cluster: Cluster, plans: Iterable[TopicPlan]) -> None:
    """Create them, and wait until the broker that answers knows them: on a busy machine that is later."""
    wanted = {plan.name: plan for plan in plans}
    for name, (code, message) in (await cluster.create(wanted.values())).items():
        if code:
            raise for_code(code)(f"{name}: {message}")
    for plan in wanted.values():
        await cluster.retry(partial(_known, cluster, plan))


async def _known(cluster: Cluster, plan: TopicPlan) -> None:
    found = (await cluster.partitions()).get(plan.name, ())
    if len(found) < plan.partitions or any(partition.leader == -1 for partition in found):
        raise LeaderNotAvailableError(plan.name)
