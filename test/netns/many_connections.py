"""serve|connect ADDRESS PORT COUNT: TCP connections, all open at the same time, on which bytes are echoed.

The server says `ready`. The client opens them all, says how many there are, and for each line it then reads sends a
number on every connection and says how many came back as they were."""
import resource
import select
import socket
import sys
import time

AT_ONCE = 500  # connections that are being opened, or wait for an answer
PATIENCE = 60.0  # seconds without any progress


def serve(address: str, port: int, count: int) -> None:
    listener = socket.create_server((address, port), backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    peers: dict[int, socket.socket] = {}
    print("ready", flush=True)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                peer, _ = listener.accept()
                peer.setblocking(False)
                peers[peer.fileno()] = peer
                poll.register(peer, select.EPOLLIN)
                continue
            try:
                data = peers[descriptor].recv(4096)
                peers[descriptor].sendall(data)
            except OSError:
                data = b""
            if not data:
                poll.unregister(descriptor)
                peers.pop(descriptor).close()


class Round:
    """Does something on every connection, AT_ONCE of them at a time, and counts those on which it came to its end."""

    def __init__(self, begin, end, event: int):
        self._begin, self._end, self._event = begin, end, event

    def run(self, count: int) -> int:
        poll, waiting, done, next_one = select.epoll(), {}, 0, 0
        deadline = time.monotonic() + PATIENCE
        while (next_one < count or waiting) and time.monotonic() < deadline:
            while next_one < count and len(waiting) < AT_ONCE:
                connection = self._begin(next_one)
                waiting[connection.fileno()] = next_one
                poll.register(connection, self._event)
                next_one += 1
            for descriptor, _ in poll.poll(1.0):
                deadline = time.monotonic() + PATIENCE
                poll.unregister(descriptor)
                done += self._end(waiting.pop(descriptor))
        return done


def connect(address: str, port: int, count: int) -> None:
    connections: list[socket.socket] = []

    def open_one(_: int) -> socket.socket:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((address, port))
        connections.append(one)
        return one

    def is_open(number: int) -> bool:
        return connections[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    def send(number: int) -> socket.socket:
        connections[number].send(number.to_bytes(4, "big"))
        return connections[number]

    def is_answered(number: int) -> bool:
        try:
            return connections[number].recv(4) == number.to_bytes(4, "big")
        except OSError:
            return False

    print(Round(open_one, is_open, select.EPOLLOUT).run(count), flush=True)
    for _ in sys.stdin:
        print(Round(send, is_answered, select.EPOLLIN).run(count), flush=True)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    role, address, port, count = sys.argv[1:]
    {"serve": serve, "connect": connect}[role](address, int(port), int(count))
