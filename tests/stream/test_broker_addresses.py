"""Addresses of brokers that cannot be any are refused by the name of their setting."""

import pytest

from workers.errors import SettingsError
from workers.settings import Settings

NONE_AT_ALL = ["localhost:99999", "localhost:0", "localhost:abc", "localhost:", "host:1/path", "a:1,,b:1", "[::1", ""]
USABLE = ["localhost:9092", "kafka", "a:1, b:65535", "[::1]:9092", "::1", "[fe80::1%eth0]:1", "127.0.0.1"]


@pytest.mark.parametrize("servers", NONE_AT_ALL)
def test_an_invalid_broker_address_is_refused_and_names_the_setting(servers: str) -> None:
    with pytest.raises(SettingsError, match=r"^TESSERA_BOOTSTRAP_SERVERS: ") as refused:
        Settings.read(bootstrap_servers=servers)
    assert repr(servers) in str(refused.value)


@pytest.mark.parametrize("servers", USABLE)
def test_valid_broker_addresses_are_accepted_unchanged(servers: str) -> None:
    assert Settings.read(bootstrap_servers=servers).bootstrap_servers == servers
