"""Rights and who has them, as Kafka's ACLs know them."""

from dataclasses import dataclass
from typing import Literal

Operation = Literal["Read", "Write", "Create", "Alter", "Describe", "DescribeConfigs"]
Resource = Literal["topic", "group", "transactional-id"]


@dataclass(frozen=True, order=True)
class Right:
    """One ACL: an operation on a resource, or on all whose names begin with `name`."""

    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} {self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class Principal:
    """A user of Kafka, `User:<name>` in its ACLs; the rights are sorted."""

    name: str
    purpose: str
    rights: tuple[Right, ...]
