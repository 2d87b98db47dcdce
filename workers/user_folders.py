"""Where this user's files go that are nobody's settings: what can be fetched again, and what a command leaves."""

import os
from pathlib import Path

from workers.errors import SettingsError


def cache_folder() -> Path:
    """Where to keep what can be fetched again: $XDG_CACHE_HOME/tessera, without it ~/.cache/tessera."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path:
    """Where to keep what must survive a command: $XDG_STATE_HOME/tessera, without it ~/.local/state/tessera."""
    return _user_folder("XDG_STATE_HOME", ".local/state")


def _user_folder(variable: str, default: str) -> Path:
    """SettingsError where neither the variable nor a home folder is known; a relative path does not count (XDG)."""
    given = Path(os.environ.get(variable, ""))
    try:
        return (given if given.is_absolute() else Path.home() / default) / "tessera"
    except RuntimeError:
        raise SettingsError(f"this user has no home folder; set {variable} to a folder that can be written") from None
