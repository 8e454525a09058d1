# A small web application for the recipes with sockets: as WSGI for gunicorn and uWSGI, as ASGI for
# uvicorn. It says which process answered.
import os


def text():
    return f"hello from {os.environ.get('CLUSTER_WORKER')}.{os.environ.get('CLUSTER_INSTANCE')}\n".encode()


def wsgi(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text()]


async def asgi(scope, _receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text()})
