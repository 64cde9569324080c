"""http_server.py DIRECTORY PORT: serves files and takes them by PUT, on IPv4 and IPv6; says "ready" when it listens."""
import http.server
import os
import pathlib
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _path(self) -> pathlib.Path:
        return pathlib.Path(sys.argv[1]) / os.path.basename(self.path)

    def do_GET(self) -> None:
        with open(self._path(), "rb") as file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(file)

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        with open(self._path(), "wb") as file:
            while left > 0:
                block = self.rfile.read(min(left, 1 << 20))
                if not block:
                    break
                file.write(block)
                left -= len(block)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "test", self.server_address[1]


if __name__ == "__main__":
    server = Server(("::", int(sys.argv[2])), Handler)
    print("ready", flush=True)
    server.serve_forever()
