#!/usr/bin/env python3
"""The places for a secret that curl does not reach: inside a WebSocket, and inside a TLS handshake.

    leak_places.py origin --ready FILE               answers WebSocket handshakes and says every message back
    leak_places.py websocket PROXY HOST:PORT < S     a secret in messages, fragments, pings, the reason of a close
    leak_places.py hello PROXY HOST:PORT < S         a secret as server name and as protocol of a ClientHello, and in a
                                                     hello that is cut short or followed by noise

PROXY is the URL with its credential. What becomes of the connection is not asked: nothing of it may be kept.
"""

import base64
import os
import socket
import ssl
import struct
import sys
import threading
import urllib.parse

SECONDS = 5
TEXT, CLOSE, PING, PONG, CONTINUATION = 1, 8, 9, 10, 0


def frame(kind, payload, mask=b"", last=True):
    """RFC 6455, section 5.2. A client masks; a server does not."""
    head = bytes([kind | (0x80 if last else 0)])
    marked = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([marked | len(payload)])
    else:
        head += bytes([marked | 126]) + struct.pack(">H", len(payload))
    return head + mask + bytes(b ^ mask[i % 4] if mask else b for i, b in enumerate(payload))


def head_of(stream):
    """Everything up to the empty line."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            break
        head += byte
    return head


# === the origin ===


def say_back(stream):
    """Each frame goes back as it came, without its mask."""
    stream.settimeout(SECONDS)
    with stream:
        head_of(stream)
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        inside = stream.makefile("rb")
        while first := inside.read(2):
            length = first[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", inside.read(2))
            mask = inside.read(4)
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(inside.read(length)))
            stream.sendall(frame(first[0] & 0x0F, payload, last=first[0] & 0x80))
            if first[0] & 0x0F == CLOSE:
                break


def origin(ready):
    listener = socket.create_server(("127.0.0.1", 0))
    with open(ready + ".new", "w", encoding="ascii") as out:
        out.write("127.0.0.1:%d\n" % listener.getsockname()[1])
    os.rename(ready + ".new", ready)

    def serve(stream):
        try:
            say_back(stream)
        except OSError:
            pass  # a client that goes is no event here

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


# === the client ===


class Proxy:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname, parts.port)
        pair = "%s:%s" % (parts.username, parts.password)
        self.credential = "Proxy-Authorization: Basic %s\r\n" % base64.b64encode(pair.encode()).decode()

    def ask(self, head):
        """A connection on which `head`, with the credential, has been answered; the answer's first line beside it."""
        stream = socket.create_connection(self.address, timeout=SECONDS)
        stream.sendall((head + self.credential + "\r\n").encode())
        return stream, head_of(stream).split(b"\r\n")[0]


def websocket(proxy, origin_address, secret):
    """True if every message came back."""
    stream, answer = proxy.ask(
        "GET http://%s/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
        % (origin_address, origin_address, base64.b64encode(os.urandom(16)).decode())
    )
    if b" 101 " not in answer + b" ":
        return False
    raw, half = secret.encode(), len(secret) // 2
    frames = [
        (TEXT, b"my key is " + raw, True),
        (TEXT, b'{"content":"' + raw + b'"}', True),
        (TEXT, b"split " + raw[:half], False),
        (CONTINUATION, raw[half:] + b" end", True),
        (PING, raw, True),
        (2, raw, True),  # binary
        (TEXT, raw + b"\xff\xfe", True),  # no UTF-8
        (CLOSE, struct.pack(">H", 1000) + raw, True),
    ]
    with stream:
        for kind, payload, last in frames:
            stream.sendall(frame(kind, payload, os.urandom(4), last))
        back = b""
        while piece := stream.recv(65536):
            back += piece
            if back.count(raw) >= 6:  # all but the two halves
                return True
    return False


def hello(proxy, target, secret):
    """TLS to where none may be spoken: the name, the protocol, and what follows are all in the clear."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([secret, "http/1.1"])
    label = "".join(c for c in secret.lower() if c.isalnum() or c == "-").strip("-")[:60]

    def hello_bytes():
        out = ssl.MemoryBIO()
        try:
            context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=label + ".example.test").do_handshake()
        except ssl.SSLWantReadError:
            pass
        return out.read()

    whole = hello_bytes()
    for sent in (whole, whole[: len(whole) // 2], whole + secret.encode() * 3, b"\x16\x03\x01\xff\xff" + secret.encode()):
        stream, answer = proxy.ask("CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (target, target))
        with stream:
            if b" 200 " in answer + b" ":
                stream.sendall(sent)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(65536):
                    pass
    # And a handshake that is gone through with, as far as the other side lets it.
    stream, answer = proxy.ask("CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (target, target))
    if b" 200 " in answer + b" ":
        with context.wrap_socket(stream, server_hostname=label + ".example.test") as secured:
            secured.sendall(b"GET /%s HTTP/1.1\r\nHost: %s.example.test\r\n\r\n" % (secret.encode(), label.encode()))
            secured.recv(65536)
    return True


def main():
    if sys.argv[1] == "origin":
        return origin(sys.argv[3])
    act = {"websocket": websocket, "hello": hello}[sys.argv[1]]
    proxy, target = Proxy(sys.argv[2]), sys.argv[3]
    worked = 0
    for line in sys.stdin:
        try:
            worked += act(proxy, target, line.strip())
        except OSError as error:  # a refusal is an answer; which one is not asked
            print("%s: %s" % (sys.argv[1], type(error).__name__))
    print("%d went through" % worked)


if __name__ == "__main__":
    main()
