"""Traffic of flows: what goes on in both directions, and what begins anew with every packet. All from a seed."""
import random
import struct
import zlib

import frames
from rulesets import network6_of, network_of, port_of

_SERVERS = 0xC6120000  # 198.18.0.0/15
_SERVERS6 = bytes.fromhex("20010db80007") + bytes(2)
_ENDPOINTS = 32768  # at most, behind NAT
_TCP_HEADERS = {False: 14 + 20 + 20, True: 14 + 40 + 20}


def drawn(flows, service, seed):
    """Distinct flows to one service: (client, server, client's port, service's port)."""
    chance = random.Random(seed)
    result = set()
    while len(result) < flows:
        result.add((network_of(service) | chance.randrange(1, 255), _SERVERS | chance.getrandbits(17),
                    chance.randrange(1024, 65536), port_of(service)))
    return sorted(result)


def drawn_behind_nat(count, service, seed):
    """Flows to one service from endpoints none of which has another's port, so that behind one address all keep theirs."""
    chance = random.Random(seed)
    ports = chance.sample(range(1024, 65536), min(count, _ENDPOINTS))
    clients = [network_of(service) | chance.randrange(1, 255) for _ in ports]
    result = set()
    while len(result) < count:
        place = len(result) % len(ports)
        result.add((clients[place], _SERVERS | chance.getrandbits(17), ports[place], port_of(service)))
    return sorted(result)


def as_ip6(drawn, service):
    """The same flows with IPv6 addresses, which are bytes."""
    return [(network6_of(service) + client.to_bytes(8), _SERVERS6 + server.to_bytes(8), sport, dport)
            for client, server, sport, dport in drawn]


def owner(flow, workers):
    """Who owns a flow of IPv4: by the symmetric Toeplitz hash, as devices spread packets over queues."""
    client, server, sport, dport = flow
    both = client ^ server
    folded = (both >> 16 ^ both ^ sport ^ dport) & 0xFFFF
    hashed = 0
    for bit in range(16):
        if folded & 0x8000 >> bit:
            hashed ^= 0x6D5A << bit | 0x6D5A >> (16 - bit)
    return hashed % 128 % workers


def two_way_udp(flows, seed, external=None, mix=frames.SMALLEST):
    """A packet each way of every flow, shuffled. Answers go to the client, or to this address of a NAT."""
    result = []
    for number, (client, server, sport, dport) in enumerate(flows):
        udp, size = _of_family(client, frames.udp4, frames.udp6), mix.payload(number, isinstance(client, bytes))
        result += [udp(client, server, sport, dport, size), udp(server, external or client, dport, sport, size)]
    random.Random(seed).shuffle(result)
    return result


def _of_family(address, ip4, ip6):
    return ip6 if isinstance(address, bytes) else ip4


def _sequences(flow, seed):
    """Without a look at what is drawn for other flows."""
    bits = zlib.crc32(repr(flow).encode(), seed)
    return bits >> 1, ~bits >> 1 & 0x7FFFFFFF


def tcp_openings(flows, seed, external=None):
    """SYN, SYN-ACK and ACK of every flow, without window scaling."""
    for flow in flows:
        client, server, sport, dport = flow
        tcp, (ours, theirs) = _of_family(client, frames.tcp4, frames.tcp6), _sequences(flow, seed)
        mss = b"\x02\x04\x05\xb4"
        yield tcp(client, server, sport, dport, frames.SYN, ours, options=mss)
        yield tcp(server, external or client, dport, sport, frames.SYN | frames.ACK, theirs, ours + 1, options=mss)
        yield tcp(client, server, sport, dport, frames.ACK, ours + 1, theirs + 1)


def two_way_tcp(flows, seed, external=None, mix=frames.SMALLEST):
    """A segment each way of every flow, shuffled: the same ones again whenever it is played, always in the window."""
    result = []
    for number, flow in enumerate(flows):
        client, server, sport, dport = flow
        tcp, (ours, theirs) = _of_family(client, frames.tcp4, frames.tcp6), _sequences(flow, seed)
        data = bytes(max(mix.payload(number, headers=_TCP_HEADERS[isinstance(client, bytes)]), 1))
        result += [tcp(client, server, sport, dport, frames.PSH | frames.ACK, ours + 1, theirs + 1, data),
                   tcp(server, external or client, dport, sport, frames.PSH | frames.ACK, theirs + 1, ours + 1, data)]
    random.Random(seed).shuffle(result)
    return result


_RECORD = struct.Struct(">40sHIIHHHH18x")
_SAMPLE = frames.udp4(0, 0, 0, 0)
_HEAD = struct.pack("<IIII", 0, 0, len(_SAMPLE), len(_SAMPLE)) + _SAMPLE[:24]
_IP_SUM = sum(struct.unpack("!10H", _SAMPLE[14:24] + bytes(2) + _SAMPLE[26:34]))
_UDP_SUM = 17 + 26 + 26  # protocol, length twice


def write_beginnings(path, count, ruleset, seed):
    """A capture of `count` UDP packets, each the first of its flow, over all services or sources of a ruleset at random,
    rounded up; how many. Written in one go, since there are millions."""
    chance = random.Random(seed)
    services = [(network_of(number), port_of(number)) for number in range(ruleset.services)]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        pack, draw = _RECORD.pack, chance.getrandbits
        for _ in range(0, count, 4096):
            block = []
            for _ in range(4096):
                bits = draw(80)
                if services:
                    source, dport = services[(bits >> 48) % len(services)]
                    source |= 1 + (bits & 127)
                else:
                    source, dport = ruleset.sources[(bits >> 48) % len(ruleset.sources)], 53
                destination, sport = _SERVERS | bits >> 7 & 0x1FFFF, 1024 + (bits >> 24 & 0x7FFF)
                total = (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF)
                ip_sum = (0xFFFF - (_IP_SUM + total) % 0xFFFF) % 0xFFFF
                udp_sum = 0xFFFF - (_UDP_SUM + total + sport + dport) % 0xFFFF
                block.append(pack(_HEAD, ip_sum, source, destination, sport, dport, 26, udp_sum))
            file.write(b"".join(block))
    return -(-count // 4096) * 4096
