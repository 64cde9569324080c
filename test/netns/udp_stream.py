"""udp_stream.py send ADDRESS PORT RATE SIZE | receive ADDRESS PORT: numbered datagrams at a steady rate, and who came.

Both end when their standard input does and then print a number: how many were sent, or how many different ones arrived. The
receiver says "ready" when it listens and "first" when the first datagram is there.
"""
import select
import socket
import struct
import sys
import time

SO_RCVBUFFORCE = 33  # not bound by net.core.rmem_max


def stopped(timeout: float) -> bool:
    return bool(select.select([sys.stdin], [], [], timeout)[0])


def send(sender: socket.socket, rate: float, size: int) -> int:
    padding = b"\0" * (size - 8)
    begin, sent = time.monotonic(), 0
    while not stopped(max(0.0, begin + sent / rate - time.monotonic())):
        # Never a burst: what a stall has missed is not made up for.
        begin = max(begin, time.monotonic() - (sent + 20) / rate)
        while sent <= (time.monotonic() - begin) * rate:
            try:
                sender.send(struct.pack("!Q", sent) + padding)
            except OSError:  # the link is gone: not sent
                break
            sent += 1
    return sent


def receive(receiver: socket.socket) -> int:
    seen = set()
    receiver.settimeout(0.2)
    while True:
        try:
            seen.add(receiver.recv(65536)[:8])
            if len(seen) == 1:
                print("first", flush=True)
        except TimeoutError:
            if stopped(0):  # and a fifth of a second was silent
                return len(seen)


def main() -> None:
    role, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM)
    if role == "send":
        end.connect((address, port))
        print(send(end, float(sys.argv[4]), int(sys.argv[5])))
    else:
        end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        end.bind((address, port))
        print("ready", flush=True)
        print(receive(end))


if __name__ == "__main__":
    main()
