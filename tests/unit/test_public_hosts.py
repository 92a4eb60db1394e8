"""Which addresses a job's repository may have, and what names resolve to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from src.common.errors import Permanent
from src.common.public_hosts import is_public, public_addresses

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("140.82.121.4", True),
        ("2606:50c0:8000::153", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),  # shared by carriers
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),  # the metadata service's IPv6 address
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),  # the same, through an IPv4 translator
        ("2002:a9fe:a9fe::1", False),
        ("::169.254.169.254", False),  # IPv4-compatible
        ("::ffff:0:169.254.169.254", False),  # translated by SIIT
        ("fec0::1", False),  # site-local, once
        ("192.0.0.192", False),  # protocol assignments: the metadata service of another cloud
        ("192.88.99.1", False),  # 6to4 relays
        ("3fff::1", False),  # documentation
        ("5f00::1", False),  # segment routing
    ],
)
def test_an_address_is_public_or_not(address: str, *, public: bool) -> None:
    assert is_public(address) is public


def answering(*addresses: str) -> Any:
    return lambda host, port: [(None, None, None, "", (address, port)) for address in addresses]


def test_a_name_is_refused_when_one_of_its_addresses_is_not_public() -> None:
    with pytest.raises(Permanent, match=r"host x\.example has the address 10\.0\.0\.1, which"):
        public_addresses("x.example", 443, answering("140.82.121.4", "10.0.0.1"))


def test_addresses_come_once_each_and_ipv4_first() -> None:
    found = public_addresses(
        "x.example", 22, answering("2606:50c0::1", "140.82.121.4", "140.82.121.4")
    )

    assert found == ("140.82.121.4", "2606:50c0::1")


def test_an_unknown_name_is_named() -> None:
    def unknown(host: str, port: int) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Permanent, match="host nowhere is unknown"):
        public_addresses("nowhere", 443, unknown)
