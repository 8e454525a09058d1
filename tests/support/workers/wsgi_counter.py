"""An application for gunicorn --preload: opened in the master, counted in the workers that it forks."""

import os

import clusterd

hits = clusterd.counter("wsgi")
clusterd.table["opened by"] = str(os.getpid())


def application(environ, start_response):
    body = f"{hits.add()} {os.getpid()} {clusterd.table.incr('by table')}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
