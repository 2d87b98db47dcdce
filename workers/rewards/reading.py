"""Reading a file that settings name, up to a number of bytes."""

from pathlib import Path

from workers.errors import SettingsError


def read_bounded(path: Path, most_bytes: int, named_by: str) -> bytes:
    """The content. SettingsError: the file cannot be read, is no regular file, or has more bytes."""
    if path.exists() and not path.is_file():
        raise SettingsError(f"{named_by}: {path} is not a regular file")
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise SettingsError(f"{named_by}: {path} cannot be read: {error.strerror}") from None
    if len(content) > most_bytes:
        raise SettingsError(f"{named_by}: {path} has more than {most_bytes:,} bytes")
    return content
