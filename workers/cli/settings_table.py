"""Every setting with its default and what it is for, as people are shown it."""

from dataclasses import dataclass

from pydantic import SecretStr

from workers.settings import PREFIX, Settings


@dataclass(frozen=True)
class SettingRow:
    """One line of the settings table."""

    variable: str
    default: str
    description: str


def settings_table() -> list[SettingRow]:
    """Every setting, for `tessera run --help` and the README."""
    return [
        SettingRow(PREFIX + name.upper(), _shown(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _shown(default: object) -> str:
    if default is None:
        return "none"
    text = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
    return text or "empty"
