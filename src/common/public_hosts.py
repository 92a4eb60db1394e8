"""Hosts that a job names, held to the public internet before anybody contacts them.

A job is written by whoever may open a pull request; the function that fetches its code stands where
others do not: beside the metadata services, the Lambda runtime's own API and whatever private
network it is attached to. Names are resolved here, once, and the caller connects to what was found:
a name that resolves to something else a moment later gains nothing (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Final

from src.common.errors import Permanent

Resolve = Callable[[str, int], list[Any]]

# Addresses that Python calls global and that may lead to private ones all the same: IPv4 in IPv6
# (compatible, translated by SIIT and NAT64, 6to4) and IPv6's former private range. And what IANA's
# registries of special addresses call not global, and not every Python does: protocol assignments
# (a cloud's metadata service lies there), 6to4 relays, documentation, segment routing.
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"),
        "fec0::/10",
        *("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "5f00::/16"),
    )
)


def public_addresses(host: str, port: int, resolve: Resolve | None = None) -> tuple[str, ...]:
    """Return the addresses of a host, IPv4 first.

    Args:
        host: a name or an address, in any form that the system's resolver takes (`0x7f.1` too).
        port: to be contacted.
        resolve: `socket.getaddrinfo` or one like it.

    Raises:
        Permanent: the host is unknown, or one of its addresses is not public.
    """
    try:
        found = (resolve or _system)(host, port)
    except (OSError, UnicodeError) as error:
        raise Permanent(f"host {host} is unknown: {error}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise Permanent(f"host {host} has the address {address}, which is not public")
    return tuple(sorted(addresses, key=lambda address: ":" in address))


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if any(ip in net for net in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast


def _system(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
