"""The commands as a user meets them: help, wrong input, exit codes, output for machines."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.topics import CHARGED, COMMITMENTS, INCENTIVES, SCORED, SETTLED
from tests.support.builders import make_events
from tests.support.forked_command import run, tessera
from tests.support.worker_process import environment, worker
from workers.cli import COMMANDS, SHORT_HELP
from workers.cli.demo import longest_silence_s
from workers.cli.render import lies
from workers.errors import SettingsError
from workers.pipeline import sampling_secret
from workers.settings import Settings

QUERIES = [{"text": f"How do I do {number}?", "advertisers": []} for number in range(3)]


def demo_lines(*options: str) -> list[dict[str, object]]:
    done = tessera("demo", "--json", *options)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(done: "subprocess.CompletedProcess[bytes]") -> str:
    """The last line, which says what is wrong; before it come only lines on what was begun."""
    assert done.returncode == 2, (done.returncode, done.stderr.decode())
    assert b"Traceback" not in done.stderr
    line = done.stderr.decode().splitlines()[-1]
    assert line.startswith("tessera: ")
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = tessera(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout) > 200


def test_the_list_of_commands_needs_none_of_their_modules() -> None:
    """A tenth of a second of work, not one; modules are counted, since the machine's load is not ours."""
    program = "import sys; from workers.cli import cli; cli(['--help'], standalone_mode=False); "
    told = subprocess.run(
        [sys.executable, "-c", program + "print(*sys.modules, file=sys.stderr)"],
        env=environment("127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = told.stderr.split()

    assert SHORT_HELP.keys() == COMMANDS.keys()
    assert all(f"  {command} " in told.stdout for command in COMMANDS)
    assert [name for name in loaded if name.startswith("workers.cli.") and name.split(".")[2] in COMMANDS] == []
    assert not {"pydantic", "numpy", "rich", "aiokafka", "prometheus_client", "asyncio"} & set(loaded)


def test_demo_prints_each_event_as_a_line() -> None:
    lines = demo_lines("--limit", "3")
    types = [line["type"] for line in lines]
    published = {COMMITMENTS.name: 2, SCORED.name: 3, SETTLED.name: 3, CHARGED.name: 6}
    assert {kind: types.count(kind) for kind in set(types)} == published
    assert types[:2] == [COMMITMENTS.name] * 2  # before anything is drawn
    assert all({"specversion", "id", "source", "subject", "time", "data"} <= set(line) for line in lines)


def test_demo_for_people_ends_with_a_revenue_that_is_the_sum_of_its_charges() -> None:
    done = tessera("demo", "--limit", "4")
    output = done.stdout.decode()
    assert done.returncode == 0
    assert output.count("SPONSORED") == 4
    assert "4 queries: 4 sold, 0 without advertising, 0 refused" in output
    paid = [line.rsplit("pays ", 1)[1].strip() for line in output.splitlines() if "pays " in line]
    micros = sum(round(float(amount.removesuffix(" USD")) * 1e6) for amount in paid)
    assert f"= {micros} micros, the sum of 8 charges" in output
    honesty = " ".join(output[output.index("honesty:") :].split())
    assert re.fullmatch(
        r"honesty: of about 1,280 other bids tried in 4 auctions, none would have gained a micro Percentages .*",
        honesty,
    )


@pytest.mark.parametrize(("gap_micros", "says"), [(0.0, "none would have gained a micro"), (2.5, "2.500 micros: the")])
def test_the_demo_reports_a_misreport_that_gains(gap_micros: float, says: str) -> None:
    (measured,) = [event.data for event in make_events() if event.type == INCENTIVES.name]

    assert says in lies([measured.model_copy(update={"largest_gap_micros": gap_micros})]).plain  # type: ignore[list-item]


def test_the_demo_reads_queries_from_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("\n".join(json.dumps(query) for query in QUERIES))
    done = tessera("demo", "--queries", str(mine))
    assert "3 queries: 0 sold, 3 without advertising, 0 refused" in done.stdout.decode()


def test_demo_shows_a_refused_query_as_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({**QUERIES[0], "deadline": "2020-01-01T00:00:00Z"}))
    done = tessera("demo", "--queries", str(mine))
    assert "refused: EXPIRED" in done.stdout.decode()
    *_, line = demo_lines("--queries", str(mine))
    assert (line["dlqreason"], line["dlqcode"]) == ("EXPIRED", "8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "ok?"}\n{"txet": "no"}\n', "line 2 is not a query: BAD_SCHEMA"),
        ("", "has no query in it"),
        ('{"text": "a?", "query_id": "x"}\n{"text": "b?", "query_id": "x"}', "two queries have the same query_id"),
    ],
)
def test_demo_says_what_is_wrong_with_a_file(tmp_path: Path, content: str, says: str) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text(content)
    assert says in refused(tessera("demo", "--queries", str(mine)))


@pytest.mark.parametrize(("deadline_s", "silence_s"), [(5.0, 120.0), (60.0, 120.0), (900.0, 1_800.0)])
def test_the_demo_waits_as_long_as_an_auction_may_take_in_two_stages(deadline_s: float, silence_s: float) -> None:
    assert longest_silence_s(Settings.read(deadline_s=deadline_s)) == silence_s


def test_demo_settled_again_gives_the_same_events() -> None:
    done = tessera("demo", "--json", "--limit", "3")
    kinds = (SETTLED.name, CHARGED.name)
    stored = re.compile(rb'"brokertime":"[^"]+","datasha256":"[^"]+",')  # of records; what is settled again is none
    published = [stored.sub(b"", line) for line in done.stdout.splitlines() if json.loads(line)["type"] in kinds]
    again = tessera("settle", "-", given=done.stdout)
    assert sorted(again.stdout.splitlines()) == sorted(published)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "has no auction.candidates.scored.v1 event in it"),
        (b"nonsense\n", "line 1: BAD_JSON"),
        (b'{"specversion":"1.0","type":"order.placed","data":{}}\n', "which this system does not write"),
        (b'{"specversion":"1.0","type":"auction.candidates.scored.v1","data":{}}\n', "line 1: BAD_SCHEMA"),
    ],
)
def test_settle_says_what_is_wrong_with_its_input(given: bytes, says: str) -> None:
    done = tessera("settle", "-", given=given)
    assert says in refused(done)
    assert not done.stdout


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"candidates": 300}, "TESSERA_CANDIDATES: Input should be less than or equal to 256"),
        ({"candidates": 1}, "TESSERA_CANDIDATES is 1: not from its _LEAST, 2"),
        ({"engine": "gpt"}, "TESSERA_ENGINE: no engine is called 'gpt'"),
        ({"payment_rule": "no_offset"}, "TESSERA_PAYMENT_RULE: Input should be 'offset' (it is 'no_offset')"),
        ({"candidate": 3}, "TESSERA_CANDIDATE, which is not a setting; did you mean TESSERA_CANDIDATES?"),
        ({"bootstrap_server": "k:9092"}, "not a setting; did you mean TESSERA_BOOTSTRAP_SERVERS?"),
        ({"brokers": "k:9092"}, "TESSERA_BROKERS, which is not a setting; `tessera run --help` lists the settings"),
        ({"model": "x"}, "TESSERA_MODEL, which is not a setting; `tessera run --help` lists the settings"),
        ({"draw_key": "short"}, "TESSERA_DRAW_KEY: a key has at least 32 characters"),
        ({"sampling_key": "short"}, "TESSERA_SAMPLING_KEY: a key has at least 32 characters"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], says: str) -> None:
    line = refused(tessera("run", "settlement", "generation", **settings))
    assert says in line
    assert "short" not in line


@pytest.mark.parametrize(
    "name",
    [
        "http://bob:hunter2@host:8000#m",
        "https://hunter2@host#m",
        "http://bob:hunter2#x@host#m",
        "http://host/?key=hunter2#m",
        "http:bob:hunter2@host#m",
        "HTTP://bob:hunter2@host:x#m",
        "htps://bob:hunter2@host#m",
    ],
)
@pytest.mark.parametrize("setting", ["engine", "proposal_engine"])
def test_a_password_in_an_engines_name_is_refused_and_nowhere_shown(name: str, setting: str) -> None:
    with pytest.raises(SettingsError, match=f"^TESSERA_{setting.upper()}: .*http.s.://HOST") as caught:
        Settings.read(**{setting: name})
    assert "hunter2" not in str(caught.value)


def test_an_engine_name_with_a_password_is_not_printed_while_waiting() -> None:
    done = tessera("run", "generation", engine="http://bob:hunter2@host:8000#m")

    assert refused(done).startswith("tessera: TESSERA_ENGINE: ")
    assert b"hunter2" not in done.stdout + done.stderr and b"Kafka" not in done.stderr


def test_settlement_does_not_start_without_its_key() -> None:
    without = {name: value for name, value in environment("127.0.0.1:1").items() if name != "TESSERA_DRAW_KEY"}
    done = run(["run", "settlement"], without)
    assert "TESSERA_DRAW_KEY is not set" in refused(done)


def test_generation_does_not_start_without_a_secret_for_its_seeds() -> None:
    without = {name: value for name, value in environment("127.0.0.1:1").items() if name != "TESSERA_DRAW_KEY"}
    done = run(["run", "generation"], without)
    assert "TESSERA_SAMPLING_KEY is not set" in refused(done)
    assert "tessera keys new" in refused(done)


def test_without_a_sampling_key_the_secret_of_the_seeds_derives_from_the_draws() -> None:
    derived, other = (sampling_secret(Settings.read(draw_key=letter * 32)) for letter in "de")

    assert derived != other
    assert len(derived) == 32 and b"d" * 32 not in derived
    assert sampling_secret(Settings.read(draw_key="d" * 32, sampling_key="s" * 32)) == b"s" * 32


def test_a_broker_that_is_not_there_is_named() -> None:
    line = refused(tessera("topics", "describe", kafka="127.0.0.1:1"))
    assert "127.0.0.1:1" in line and "TESSERA_BOOTSTRAP_SERVERS" in line


def test_ask_says_what_is_wrong_with_an_advertiser() -> None:
    done = tessera("ask", "How?", "--advertiser", "no description")
    assert done.returncode == 2
    assert b"expected 'Name: what it sells'" in done.stderr


def test_schemas_are_written_where_one_asks(tmp_path: Path) -> None:
    done = tessera("schemas", "export", str(tmp_path / "new"), "--json")
    paths = [Path(json.loads(line)["path"]) for line in done.stdout.splitlines()]
    assert {path.name for path in paths} >= {"auction.query.submitted.v1.schema.json"}
    assert all(json.loads(path.read_text()) for path in paths)


def test_ctrl_c_ends_the_demo_without_a_traceback() -> None:
    command = [sys.executable, "-m", "workers", "demo"]
    settings = environment("127.0.0.1:1", engine="embedded")
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()  # the first reply is there
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Traceback" not in errors


@pytest.mark.kafka
def test_ask_prints_reply_disclosure_and_charges(topics: str, tmp_path: Path) -> None:
    advertisers = ["--advertiser", "OvenNest: selling ingredients", "--advertiser", "CrumbWorks: selling tools"]
    with worker(["generation", "scoring", "settlement"], topics, tmp_path / "log"):
        people = tessera("ask", "How do I bake cookies?", *advertisers, "--value", "1500", kafka=topics)
        machines = tessera("ask", "How do I bake cookies?", *advertisers, "--json", kafka=topics)

    assert people.returncode == 0, people.stderr.decode()
    assert all(word in people.stdout.decode() for word in ("SPONSORED", "OvenNest:", "CrumbWorks:", "pays"))
    assert [json.loads(line)["type"] for line in machines.stdout.splitlines()] == [
        SETTLED.name,
        CHARGED.name,
        CHARGED.name,
    ]


@pytest.mark.kafka
def test_ask_without_running_workers_reports_it(topics: str) -> None:
    done = tessera("ask", "Is anybody there?", "--timeout", "2", kafka=topics)
    said = refused(done)
    assert "do the stages run?" in said
    assert "refuse it as EXPIRED" in said and said.endswith("So ask again")


@pytest.mark.kafka
def test_run_stops_on_sigterm_with_0_and_starts_again(topics: str, tmp_path: Path) -> None:
    for _ in range(2):
        with worker(["generation", "settlement"], topics, tmp_path / "log") as process:
            began = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - began < 15
    assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    "arguments", ["demo --json --limit 3", "prove --json --auctions 60", "experiment decoding --json"]
)
def test_a_closed_pipe_is_not_reported_as_a_discrepancy(arguments: str) -> None:
    """`... | head -1`: exit code 1 is kept for what a command found."""
    command = f"{sys.executable} -m workers {arguments} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(
        ["bash", "-c", command], env=environment("127.0.0.1:1"), capture_output=True, text=True, timeout=120
    )

    assert done.stdout.strip() in ("0", "141")  # 0: all was written before the reader went
    assert "Traceback" not in done.stderr


def test_an_interrupted_command_reports_the_interruption() -> None:
    """While it still loads it ends without a word: then it was interrupted too early for this."""
    ends = (interrupted_after(wait_s) for wait_s in (2.0, 8.0, 32.0))

    code, said = next((end for end in ends if end[1]), (0, ""))

    assert (code, said.splitlines()[-1:]) == (130, ["tessera: interrupted"])


def interrupted_after(wait_s: float) -> tuple[int, str]:
    """Exit code and standard error of a command with hours of work."""
    with subprocess.Popen(
        [sys.executable, "-m", "workers", "prove", "--auctions", "1000000"],
        env=environment("127.0.0.1:1"),
        stderr=subprocess.PIPE,
    ) as process:
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


def test_a_full_disk_is_not_reported_as_a_discrepancy() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "workers", "experiment", "decoding"],
            env=environment("127.0.0.1:1"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )

    assert (done.returncode, done.stderr.decode().strip()) == (2, "tessera: No space left on device")
