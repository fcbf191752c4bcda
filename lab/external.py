"""The server that the front page's external links point to: serves the files of a directory.

Run as `python -m lab.external ADDRESS PORT DIRECTORY`.
"""

import functools
import socketserver
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP server that does not ask DNS for its own name: nothing of the lab leaves loopback."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind, and take the address as the server's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def main() -> None:
    """Serve the directory for ever."""
    address, port, directory = sys.argv[1:]
    handler = functools.partial(SimpleHTTPRequestHandler, directory=directory)
    LoopbackServer((address, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main()
