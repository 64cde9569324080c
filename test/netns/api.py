"""The admin API over its Unix socket."""
import http.client
import json
import socket


class ApiError(Exception):
    def __init__(self, status: int, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("sluice", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Keeps one connection; not for several threads."""

    def __init__(self, path: str, timeout: float = 30.0):
        self._connection = _UnixConnection(str(path), timeout)

    def raw(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        try:
            return self._ask(method, path, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closes connections that were idle for long; this one was.
            self._connection.close()
            return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        self._connection.request(method, path, body=body)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def call(self, method: str, path: str, body=None):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        status, answer = self.raw(method, path, text)
        value = json.loads(answer) if answer else None
        if status >= 400:
            raise ApiError(status, value)
        return value

    def get(self, path: str):
        return self.call("GET", path)

    def items(self, path: str) -> list[dict]:
        return self.get(path)["items"]

    def close(self) -> None:
        self._connection.close()
