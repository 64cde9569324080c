"""Frames as bytes: a packet socket in a namespace, seen through scapy."""
import select
import socket
import struct
import time

from scapy.all import ARP, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, Dot1Q, Ether, IPv6  # noqa: F401

_SOL_PACKET, _PACKET_AUXDATA, _PACKET_OUTGOING = 263, 8, 4
_ETH_P_ALL = 3
SO_RCVBUFFORCE = 33  # not bound by net.core.rmem_max
_TP_STATUS_VLAN_VALID, _TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40


class Wire:
    """Everything that passes one interface of a namespace, from the moment of construction."""

    def __init__(self, namespace, device: str, outgoing: bool = False):
        self._outgoing = outgoing
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            self._socket.bind((device, _ETH_P_ALL))
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.mac = ":".join(f"{b:02x}" for b in self._socket.getsockname()[4])

    def send(self, frame) -> None:
        self._socket.send(bytes(frame))

    def receive(self, timeout: float):
        """The next frame as scapy sees it, or None. A VLAN tag the kernel took off is put back."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 0)  # a frame that is there already is seen at any rate
            if not select.select([self._socket], [], [], left)[0]:
                return None
            data, control, _, source = self._socket.recvmsg(65536, 256)
            if source[2] == _PACKET_OUTGOING and not self._outgoing:
                continue
            for level, kind, value in control:
                if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                    status, *_, tci, tpid = struct.unpack("=IIIHHHH", value[:20])
                    if status & _TP_STATUS_VLAN_VALID:
                        tpid = tpid if status & _TP_STATUS_VLAN_TPID_VALID else 0x8100
                        data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
            return Ether(data)

    def expect(self, matches, what: str, timeout: float = 5.0, answer=None):
        """The first frame for which `matches` is true. `answer(frame)` may give a frame to send for any other."""
        deadline = time.monotonic() + timeout
        seen = []
        while (left := deadline - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame is None:
                break
            if matches(frame):
                return frame
            seen.append(frame.summary())
            if answer is not None and (reply := answer(frame)) is not None:
                self.send(reply)
        raise AssertionError(f"not seen within {timeout:g} s: {what}; seen: {seen[-20:]}")

    def drain(self, timeout: float = 0.0) -> list:
        """All frames that are waiting, and those of the next `timeout` seconds."""
        frames = []
        deadline = time.monotonic() + timeout
        while (frame := self.receive(deadline - time.monotonic())) is not None:
            frames.append(frame)
        return frames

    def close(self) -> None:
        self._socket.close()


def resolver(mac: str, *addresses: str):
    """Answers ARP requests and neighbour solicitations for these addresses, in the VLAN they came in."""

    def answer(frame):
        vlan = Dot1Q(vlan=frame[Dot1Q].vlan) if Dot1Q in frame else None
        reply = None
        if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst in addresses:
            ask = frame[ARP]
            reply = ARP(op=2, hwsrc=mac, psrc=ask.pdst, hwdst=ask.hwsrc, pdst=ask.psrc)
        elif ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt in addresses:
            target = frame[ICMPv6ND_NS].tgt
            reply = (
                IPv6(src=target, dst=frame[IPv6].src, hlim=255)
                / ICMPv6ND_NA(tgt=target, R=0, S=1, O=1)
                / ICMPv6NDOptDstLLAddr(lladdr=mac)
            )
        if reply is None:
            return None
        head = Ether(src=mac, dst=frame.src)
        return head / vlan / reply if vlan is not None else head / reply

    return answer
