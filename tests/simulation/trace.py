"""What happened in a run, line by line: every request with its answer, and what befell the processes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.clock import Process
from tests.simulation.faults import Fault

NO_REQUEST = f"{'=====':10}"


@dataclass
class Trace:
    """`now` is the virtual time; nothing is kept unless `is_kept`: most runs need no words."""

    now: Callable[[], float]
    is_kept: bool
    lines: list[str] = field(default_factory=list)

    def asked(self, process: Process | None, kind: str, fault: Fault | None) -> None:
        if self.is_kept:
            self._add(_head(process, kind), "" if fault is None else f"*** {fault.value}")

    def answered(self, process: Process | None, kind: str, result: Any, fault: Fault | None) -> None:
        if self.is_kept:
            late = " LATE" if fault is Fault.EXECUTED_LATE else ""
            self._add(_head(process, kind), f"-> {_shown(result)}{late}")

    def happened(self, what: str) -> None:
        """What is no request."""
        if self.is_kept:
            self._add(NO_REQUEST, what)

    def _add(self, head: str, what: str) -> None:
        self.lines.append(f"{self.now():9.4f} {head} {what}")


def _head(process: Process | None, kind: str) -> str:
    return f"{process.name if process else '-':10} {kind:20}"


def _shown(result: Any) -> str:
    if hasattr(result, "to_object"):
        return "topology"
    return (
        " ".join(f"{name}={value}" for name, value in vars(result).items())
        if hasattr(result, "__dict__")
        else str(result)
    )
