"""Reading a file that settings name, up to a number of bytes."""

from pathlib import Path

from workers.errors import SettingsError


def read_bounded(path: Path, most_bytes: int, named_by: str) -> bytes:
    """The content. SettingsError: the file cannot be read, is no regular file, or has more bytes."""
    try:
        if path.exists() and not path.is_file():
            raise SettingsError(f"{named_by}: {path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise SettingsError(f"{named_by}: {path} cannot be read: {error.strerror}") from None
    except ValueError:  # of a NUL, or of half a character, which no output takes either
        raise SettingsError(f"{named_by}: {str(path)!a} is no file name") from None
    if len(content) > most_bytes:
        raise SettingsError(f"{named_by}: {path} has more than {most_bytes:,} bytes")
    return content
