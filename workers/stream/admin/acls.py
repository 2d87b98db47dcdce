"""Rights in Kafka's own words: granted and taken by requests, or printed as commands of Kafka's tools."""

import shlex
from collections.abc import Iterable, Iterator
from functools import partial

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from workers.stream.admin.rights import Principal, Right
from workers.stream.connection.admin_client import Cluster

OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Alter": 7, "Describe": 8, "DescribeConfigs": 10}
RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
LITERAL, PREFIXED = 3, 4
ALLOW = 3
ANY_HOST = "*"


async def grant_all(cluster: Cluster, principal: Principal) -> None:
    """Every right of the principal's."""
    for right in principal.rights:
        await cluster.retry(partial(grant, cluster, principal.name, right))


async def grant(cluster: Cluster, principal: str, right: Right) -> None:
    """Give the principal the right; one that it has stays. KafkaError: this user may not, or Kafka keeps no rights."""
    answer = await cluster.ask_controller(CreateAclsRequest(*_binding(principal, right)))
    for code, message in answer.creation_responses:
        if code:
            raise for_code(code)(f"{right}: {message}")


async def take(cluster: Cluster, principal: str, right: Right) -> None:
    """Take the right from the principal; one that it does not have is no error."""
    answer = await cluster.ask_controller(DeleteAclsRequest(*_binding(principal, right)))
    for code, message, _ in answer.filter_responses:
        if code:
            raise for_code(code)(f"{right}: {message}")


def commands(principals: Iterable[Principal], bootstrap_servers: str) -> Iterator[str]:
    """Lines for a shell that has Kafka's tools: each user with a password to fill in, then its rights."""
    to = f"--bootstrap-server {shlex.quote(bootstrap_servers)} --command-config admin.properties"
    for principal in principals:
        yield (
            f"kafka-configs.sh {to} --alter --entity-type users --entity-name {principal.name} "
            '--add-config "SCRAM-SHA-512=[password=$PASSWORD]"'
        )
        for right in principal.rights:
            kind = " --resource-pattern-type prefixed" if right.prefixed else ""
            yield (
                f"kafka-acls.sh {to} --add --allow-principal User:{principal.name} --operation {right.operation} "
                f"--{right.resource} {right.name}{kind}"
            )


def _binding(principal: str, right: Right) -> tuple[int, str, int, str, str, int, int]:
    pattern = PREFIXED if right.prefixed else LITERAL
    who, allowed = f"User:{principal}", ALLOW
    return RESOURCES[right.resource], right.name, pattern, who, ANY_HOST, OPERATIONS[right.operation], allowed
