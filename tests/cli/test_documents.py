"""Documents of commands: whole or as they were, and refused before any work where they cannot be written."""

import os
import stat
import threading
from pathlib import Path

import pytest

from tests.cli.test_commands import refused
from tests.support.forked_command import tessera
from workers.cli.documents import require_writable, write_whole
from workers.errors import TesseraError

TOO_LONG = "x" * 300  # no file system of ours has such a name: a folder that takes no file, whoever asks
AT_ONCE_S = 20.0
COMMANDS = {
    "prove": ("prove", "--auctions", "1000000000", "--markdown"),
    "experiment": ("experiment", "convergence", "--markdown"),
    "explain": ("explain", "query-1", "--from", "-", "--html"),
}


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = tmp_path / "receipt.html"
    write_whole(page, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(page, "half \ud800")
    with pytest.raises(TesseraError, match="cannot be written: No such file or directory"):
        write_whole(tmp_path / "missing" / "receipt.html", "text")

    assert page.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["receipt.html"]
    assert oct(page.stat().st_mode)[-3:] == "644"


def test_checking_a_documents_path_changes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "receipt.html"
    require_writable(page)
    assert list(tmp_path.iterdir()) == []

    page.write_text("first")
    require_writable(page)
    assert page.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_a_document_may_be_a_pipe_or_a_link(tmp_path: Path) -> None:
    # Given a pipe with a reader, and a link to a file
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(file)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read_text()), daemon=True)
    reader.start()
    # When a document is written to each
    for path in (pipe, link):
        require_writable(path)
        write_whole(path, "text")
    reader.join(AT_ONCE_S)
    # Then it went through them
    assert seen == ["text"] and file.read_text() == "text"
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()


@pytest.mark.parametrize(("name", "why"), [("no/file", "there is no folder"), (TOO_LONG, "File name too long")])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unwritable_document_is_reported_before_the_work(tmp_path: Path, command: str, name: str, why: str) -> None:
    # Given a campaign that takes weeks, an experiment that takes a minute, a log that is no log
    arguments = (*COMMANDS[command], str(tmp_path / name))
    # When its document cannot be written
    done = tessera(*arguments, given=b"no log", timeout_s=AT_ONCE_S)
    # Then that is said at once, in one line
    assert "cannot be written: " + why in refused(done)
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
