# Accepts from its standard input and answers: the whole of a server that is given its socket. SIGTERM ends it between two
# connections, never within one.
import os
import select
import signal
import socket

is_ending = False


def end(*_):
    global is_ending
    is_ending = True


listener = socket.socket(fileno=0)
listener.setblocking(False)
woken, wake = socket.socketpair()
wake.setblocking(False)
signal.set_wakeup_fd(wake.fileno())
signal.signal(signal.SIGTERM, end)
while not is_ending:
    select.select([listener, woken], [], [])
    if is_ending:
        break
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue  # another process that shares the socket was faster
    with connection:
        connection.setblocking(True)
        connection.recv(4096)
        body = f"hello from {os.environ['CLUSTER_WORKER']}.{os.environ['CLUSTER_INSTANCE']}\n"
        connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
