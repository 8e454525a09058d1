"""The web server of quickstart.toml: says which instance answers, and how many requests it has answered.

Every instance listens on the same port. SO_REUSEPORT allows that, and the kernel gives each connection to one of them.
PORT is the port (default 8080). SIGTERM finishes the requests in hand and exits with 0.
"""

import http.server
import itertools
import os
import signal
import socket
import socketserver
import sys
import threading

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "8080"))
NAME = f"{os.environ.get('CLUSTER_WORKER', 'web')}.{os.environ.get('CLUSTER_INSTANCE', '0')}"

# next() on a counter is one step of the interpreter, so threads need no lock around it.
request_numbers = itertools.count(1)


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 3  # seconds; a silent client must not hold up the exit

    def do_GET(self):
        body = f"{NAME} (pid {os.getpid()}), request {next(request_numbers)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        print(format % args)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for requests in hand
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Not HTTPServer's own: that one asks the name service for a host name, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, PORT


def main():
    try:
        server = Server((HOST, PORT), Handler)
    except OSError as error:
        sys.exit(f"{NAME} cannot listen on {HOST}:{PORT}: {error.strerror}")

    # shutdown() waits for the loop below, so it cannot be called from within it.
    def stop(_signal, _frame):
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{NAME} listens on http://{HOST}:{PORT}/")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print(f"{NAME} is done")


if __name__ == "__main__":
    main()
