"""The application of gunicorn.toml: answers every request with who it is."""

import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"gunicorn behind clusterd, pid {os.getpid()}\n".encode()]
