"""The import arrow of the packages, who may know which library, and that the pure core loads without any of them."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 250
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}

#: The arrow: a layer may import itself and the rows above its own. A part of a package may have a row of its own.
ARROW = (
    ("schemas",),
    (
        "workers.mechanism",
        "workers.errors",
        "workers.id_set",
        "workers.broker_addresses",
        "workers.held",
        "workers.stage",
    ),
    ("workers.doctor.verdict", "workers.bids"),
    ("workers.audit", "workers.ledger", "workers.truthfulness"),
    ("workers.engines",),
    ("workers.rewards", "workers.seeds"),
    ("workers.advertisers",),
    ("workers.generation", "workers.scoring", "workers.settlement", "workers.draw_keys"),
    (
        "workers.incentives",
        "workers.truthfulness.split_bids_watch",
        "workers.receipts",
        "workers.load",
        "workers.operations.redrive",
        "workers.model_audit",
    ),
    ("workers.web", "workers.reports"),
    ("workers.audit.log", "workers.operations.dead_letter_search"),
    ("workers.settings", "workers.user_folders"),
    # The stream, row by row. It knows of the business only what a stage is; the table of stages is above it.
    ("workers.stream.wire", "workers.stream.offsets", "workers.stream.bus", "workers.stream.operator_lines"),
    ("workers.stream.connection",),
    ("workers.stream.period",),
    (
        "workers.stream.reader",
        "workers.stream.resume",
        "workers.stream.table",
        "workers.stream.outage",
        "workers.stream.kafka_watch",
        "workers.stream.liveness",
        "workers.stream.displacement",
    ),
    ("workers.stream.deduplication",),
    ("workers.stream.processing",),
    ("workers.stream.partition",),
    ("workers.stream.consumer",),
    ("workers.stream", "workers.operations.metrics", "workers.operations.own_model_metrics"),
    ("workers.pipeline", "workers.app.models"),
    ("workers.stream.admin.rights", "workers.devkafka"),
    ("workers.stream.admin", "workers.operations.principals"),
    ("workers.doctor",),
    ("workers.operations",),
    ("workers.experiments", "workers.experiments.paper", "workers.sinks"),
    ("workers.app",),
    ("workers.cli",),
    ("workers.start",),
    ("workers.__main__",),
)
HEIGHTS = {layer: height for height, row in enumerate(ARROW) for layer in row}

#: Tighter than the arrow: all that these may import of our own.
ONLY = {
    "schemas": {"schemas"},
    "workers.mechanism": {"workers.mechanism", "schemas.identity"},
    "workers.audit": {"workers.audit", "workers.errors", "schemas"},  # nothing of what it audits
    "workers.settings": {
        "workers.errors",
        "workers.broker_addresses",
        "workers.engines.openai_http.address",
        "schemas",
    },
    "workers.experiments": {"workers.experiments", "workers.mechanism"},
    "workers.experiments.paper": {  # no Kafka, no clock
        "workers.experiments.paper",
        "workers.mechanism",
        "workers.truthfulness",
        "workers.engines",
        "workers.errors",
        "schemas",
    },
    "workers.held": {"schemas"},  # no clock
    "workers.advertisers": {"workers.advertisers", "workers.errors", "schemas"},  # no model, no clock, no Kafka
    "workers.bids": {"workers.mechanism", "schemas"},  # no model, no clock
    "workers.settlement": {
        "workers.bids",
        "workers.held",
        "workers.mechanism",
        "workers.errors",
        "schemas",
    },  # no model, no clock
    "workers.truthfulness": {"workers.truthfulness", "workers.mechanism", "schemas.identity"},
    "workers.truthfulness.split_bids_watch": {
        "workers.truthfulness.split_bids",
        "workers.mechanism",
        "workers.bids",
        "schemas",
    },
    "workers.operations.redrive": {  # no clock
        "workers.errors",
        "workers.mechanism.epochs",
        "schemas",
    },
    "workers.audit.log": {  # nothing of what it checks; no clock, no Kafka
        "workers.audit.log",
        "workers.audit",
        "workers.id_set",
        "workers.errors",
        "schemas",
    },
    "workers.model_audit": {  # a model, and nothing of generation and scoring
        "workers.model_audit",
        "workers.audit.findings",
        "workers.engines.base",
        "workers.engines.prompts",
        "workers.errors",
        "schemas",
    },
    "workers.ledger": {"workers.ledger", "workers.errors", "schemas"},  # no clock, no Kafka
    "workers.reports": {  # no model, no clock, no Kafka
        "workers.reports",
        "workers.receipts",
        "workers.mechanism",
        "workers.bids",
        "workers.held",
        "workers.id_set",
        "schemas",
    },
    "workers.load": {"workers.load", "workers.errors", "schemas"},  # from outside: no stage, no Kafka
    "workers.receipts": {  # no model, no clock, no Kafka
        "workers.receipts",
        "workers.ledger",
        "workers.mechanism",
        "workers.bids",
        "workers.draw_keys",
        "workers.errors",
        "schemas",
    },
}

#: Where a library may be imported; nowhere when the list is empty.
HOMES: dict[str, tuple[str, ...]] = {
    "aiokafka": ("workers.stream", "workers.doctor", "workers.devkafka"),
    "ctranslate2": ("workers.engines.embedded",),
    "gguf": ("workers.engines.embedded.gguf_file",),
    "tokenizers": ("workers.engines.embedded", "workers.engines.tokenizer"),
    "prometheus_client": (
        "workers.operations.metrics",
        "workers.operations.own_model_metrics",
        "workers.operations.health",
        "workers.operations.overview",
        "workers.operations.ledger_metrics",
        "workers.operations.engine_metrics",
        "workers.operations.draw_key_metrics",
        "workers.sinks.metrics",
    ),
    "numpy": (
        "workers.mechanism",
        "workers.engines",
        "workers.doctor",
        "workers.rewards",
        "workers.scoring",
        "workers.bids",
        "workers.incentives",
        "workers.load",
        "workers.receipts",
        "workers.reports",
        "workers.experiments",
        "workers.truthfulness",
        "workers.stream.wire.partitioner",
    ),
    "confusable_homoglyphs": ("workers.advertisers.confusables",),
    "sqlite3": ("workers.advertisers.search", "workers.audit.disk_map"),
    "iso4217": ("workers.advertisers.registry",),
    "rocksdict": ("workers.stream.deduplication",),
    "pyarrow": ("workers.sinks.parquet_files",),
    "psycopg": ("workers.sinks.postgres",),
    "click": ("workers.cli",),
    "rich": ("workers.cli",),
    "pydantic": (
        "schemas",
        "workers.settings",
        "workers.cli.settings_table",
        "workers.rewards.choices",
        "workers.advertisers.registry",
        "workers.engines.prompts",
    ),
    "pydantic_settings": ("workers.settings",),
    "vllm": ("workers.engines.vllm_local",),
    "huggingface_hub": ("workers.engines.vllm_local",),
    "httpx": ("workers.engines.openai_http",),
    "jinja2": ("workers.engines.chat_template", "workers.experiments.paper.report"),
    "matplotlib": ("workers.experiments.paper.drawing",),
    "faust": (),
    "confluent_kafka": (),
    "cloudevents": (),
    "cramjam": ("workers.stream.wire.decompression",),
}

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("schemas", "workers")
    for path in sorted((ROOT / package).rglob("*.py"))
}
CORE = ("workers.settlement", "workers.generation", "workers.scoring", "workers.pipeline", "workers.mechanism.settle")
BLOCKED = (
    "aiokafka",
    "rocksdict",
    "faust",
    "ctranslate2",
    "vllm",
    "tokenizers",
    "httpx",
    "jinja2",
    "prometheus_client",
    "click",
    "rich",
)


@cache
def imports(module: str) -> frozenset[str]:
    """Every module named by an import anywhere in the file; `from a import b` counts as a.b where that is a module."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide the arrow"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else str(node.module) for name in whole)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer_of(module: str) -> str:
    layer = max((layer for layer in HEIGHTS if is_in(module, layer)), key=len, default=None)
    assert layer, f"{module} has no place in the arrow: give it one"
    return layer


def modules_of(layer: str) -> tuple[str, ...]:
    return tuple(name for name in FILES if name != "workers" and layer_of(name) == layer)


@pytest.mark.parametrize("module", [name for name in FILES if name != "workers"])
def test_imports_follow_the_arrow(module: str) -> None:
    own = layer_of(module)

    for name in imports(module):
        if name.split(".")[0] in ("schemas", "workers"):
            layer = layer_of(name)
            assert layer == own or HEIGHTS[layer] < HEIGHTS[own], f"{module} imports {name}"
            assert own not in ONLY or any(is_in(name, one) for one in ONLY[own]), f"{module} imports {name}"


def test_the_stream_knows_of_the_business_only_what_a_stage_is() -> None:
    """Beside it: an engine that is down (`outage`), and the keys of draws, committed to in a topic (`commitments`)."""
    known = {"workers.stage", "workers.errors", "workers.settings", "workers.user_folders"}
    beside = {
        "workers.stream.outage": {"workers.engines.contact"},
        "workers.stream.commitments": {"workers.draw_keys", "workers.mechanism.epochs"},
    }
    modules = [name for name in FILES if is_in(name, "workers.stream") and not is_in(name, "workers.stream.admin")]

    for module in modules:
        others = {name for name in imports(module) if is_in(name, "workers") and not is_in(name, "workers.stream")}
        assert others <= known | beside.get(module, set()), module


def test_what_a_process_knows_of_a_partition_is_decided_without_an_event_loop_a_clock_or_chance() -> None:
    state = "workers.stream.partition.state"
    tree = ast.walk(ast.parse(FILES[state].read_text(encoding="utf-8")))

    assert not [node for node in tree if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    assert not {name.split(".")[0] for name in imports(state)} & {"asyncio", "time", "datetime", "random", "aiokafka"}


@pytest.mark.parametrize("module", FILES)
def test_each_library_has_one_home(module: str) -> None:
    for name in imports(module):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or any(is_in(module, home) for home in homes), f"{module} imports {name}"


def test_only_settings_reads_the_environment() -> None:
    pattern = re.compile(r"\bos\.(environ|getenv)|from os import [^\n]*(environ|getenv)")

    readers = {module for module, path in FILES.items() if pattern.search(path.read_text(encoding="utf-8"))}

    assert readers == {"workers.settings", "workers.user_folders"}


@pytest.mark.parametrize("module", FILES)
def test_modules_are_short_and_their_names_say_something(module: str) -> None:
    text = FILES[module].read_text(encoding="utf-8")

    assert len(text.splitlines()) < MAX_LINES
    assert not SAYS_NOTHING & set(module.split("."))
    assert ast.get_docstring(ast.parse(text)), f"{module} does not open with a sentence that says what it is"


def loads_without(blocked: tuple[str, ...], modules: tuple[str, ...]) -> list[str]:
    """Import `modules` in a child process in which `blocked` cannot be; what is loaded there afterwards."""
    program = (
        "import importlib, json, sys\n"
        "blocked, modules = json.loads(sys.argv[1])\n"
        "sys.modules.update(dict.fromkeys(blocked))\n"  # None: `import` raises ModuleNotFoundError
        "for name in modules: importlib.import_module(name)\n"
        "print(json.dumps(sorted(name for name, module in sys.modules.items() if module)))\n"
    )
    command = [sys.executable, "-c", program, json.dumps([blocked, modules])]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert child.returncode == 0, child.stderr
    return list(json.loads(child.stdout))


def test_the_pure_core_loads_without_kafka_model_or_metrics() -> None:
    schemas = tuple(name for name in FILES if is_in(name, "schemas"))

    loaded = loads_without(BLOCKED, (*schemas, *CORE))

    assert set(CORE) <= set(loaded)


def test_the_mechanism_and_its_proofs_load_without_pydantic() -> None:
    modules = modules_of("workers.mechanism") + modules_of("workers.truthfulness")

    loaded = loads_without(("pydantic", "pydantic_core"), modules)

    assert {name for name in loaded if is_in(name, "schemas")} == {"schemas", "schemas.identity"}


def test_tessera_settle_loads_without_kafka_and_without_a_model() -> None:
    loaded = loads_without(("aiokafka", "ctranslate2", "tokenizers", "faust", "vllm"), ("workers.cli.settle",))

    assert "workers.settlement" in loaded


def test_the_audit_loads_without_the_mechanism_and_without_numpy() -> None:
    modules = modules_of("workers.audit")
    audited = ("workers.mechanism", "workers.settlement", "workers.draw_keys", "numpy")

    loaded = loads_without((*BLOCKED, *audited), modules)

    assert set(modules) <= set(loaded)


def test_blocking_a_library_works() -> None:
    with pytest.raises(AssertionError, match="aiokafka"):
        loads_without(("aiokafka",), ("workers.stream.kafka",))


def test_no_class_name_has_two_meanings() -> None:
    """A name says one thing in the whole tree; `Engine` is the model, and in an event what is said of it."""
    found: dict[str, set[str]] = {}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, set()).add(module)

    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {
        "Engine": {"schemas.auction", "workers.engines.base"}
    }
