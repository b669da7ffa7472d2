#!/usr/bin/env python3
"""An origin on loopback that is exact about bytes.

    origin.py --ready FILE [--seen FILE]

GET /bytes/N      N bytes that no two megabytes share          POST /digest   what arrived: bytes, sha256, trailers
GET /gzip         a gzip body, named as such                    GET /echo      the request as it arrived
GET /sse/N        N events, each after POST /release            GET /trailers  a chunked body with trailers
GET /status/CODE  an answer without a body                      GET /slow/S    a head, then S seconds, then a body

--seen gets one JSON line a request, for comparing what passed through with what came directly.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Semaphore

MEGABYTE = 1 << 20
LINE_LIMIT = 65536
RELEASE_SECONDS = 20
MAX_BODY_BYTES = 1 << 30


def blocks(total):
    """`total` bytes, a megabyte at a time: noise that begins with its own number."""
    noise = random.Random(7).randbytes(MEGABYTE)
    for number in range((total + MEGABYTE - 1) // MEGABYTE):
        block = number.to_bytes(8, "big") + noise[8:]
        yield block[: min(MEGABYTE, total - number * MEGABYTE)]


class Origin(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self):
        self.note(0, None)
        what, _, value = self.path.partition("?")[0].strip("/").partition("/")
        if what == "bytes":
            self.bytes(int(value))
        elif what == "gzip":
            plain = json.dumps({"words": ["identical"] * 4096}).encode()
            self.answer(gzip.compress(plain, mtime=0), ("Content-Encoding", "gzip"), ("ETag", '"g"'))
        elif what == "sse":
            self.events(int(value))
        elif what == "trailers":
            self.trailers()
        elif what == "status":
            self.send_response(int(value))
            if value not in ("204", "304"):
                self.send_header("Content-Length", "0")
            self.end_headers()
        elif what == "slow":
            self.head(("Content-Length", "4"))
            time.sleep(float(value))
            self.wfile.write(b"done")
        else:
            self.echo(0, None, [])

    do_HEAD = do_GET

    def do_POST(self):
        size, digest, trailers = self.body()
        self.note(size, digest)
        if self.path.startswith("/release"):
            self.server.released.release()
            self.answer(b"")
        else:
            self.echo(size, digest, trailers)

    do_PUT = do_DELETE = do_PATCH = do_POST

    # === answers ===

    def head(self, *fields):
        self.send_response(200)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def answer(self, body, *fields):
        self.head(("Content-Type", "application/json"), ("Content-Length", str(len(body))), *fields)
        if self.command != "HEAD":
            self.wfile.write(body)

    def echo(self, size, digest, trailers):
        fields = [[name, value] for name, value in self.headers.items()]
        request = {"method": self.command, "target": self.path, "headers": fields}
        self.answer(json.dumps(request | {"bytes": size, "sha256": digest, "trailers": trailers}).encode())

    def bytes(self, total):
        self.head(("Content-Type", "application/octet-stream"), ("Content-Length", str(total)))
        if self.command != "HEAD":
            for block in blocks(total):
                self.wfile.write(block)

    def events(self, count):
        """One event, then nothing more until somebody says it arrived."""
        self.head(("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        for number in range(count):
            self.chunk(b"data: event %d\n\n" % number)
            if not self.server.released.acquire(timeout=RELEASE_SECONDS):
                self.chunk(b"data: never released\n\n")
                break
        self.chunk(b"")

    def trailers(self):
        self.head(("Trailer", "X-Sum"), ("Transfer-Encoding", "chunked"))
        self.chunk(b"trailed")
        self.wfile.write(b"0\r\nX-Sum: 7\r\n\r\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    # === requests ===

    def body(self):
        """(bytes, sha256, trailers) of the body, whichever way it is framed."""
        digest, size = hashlib.sha256(), 0
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        left = 0 if chunked else int(self.headers.get("Content-Length") or 0)
        while True:
            if chunked and left == 0:
                left = int(self.rfile.readline(LINE_LIMIT).split(b";")[0], 16)
            if left == 0 or size > MAX_BODY_BYTES:
                break
            piece = self.rfile.read(min(left, MEGABYTE))
            if not piece:
                raise ConnectionError("the body ended early")
            digest.update(piece)
            size += len(piece)
            left -= len(piece)
            if chunked and left == 0:
                self.rfile.readline(LINE_LIMIT)
        trailers = []
        while chunked and (line := self.rfile.readline(LINE_LIMIT).strip()):
            trailers.append(line.decode("latin-1"))
        return size, digest.hexdigest(), trailers

    def note(self, size, digest):
        if self.server.seen:
            fields = sorted([name.lower(), value] for name, value in self.headers.items())
            line = {"method": self.command, "target": self.path, "headers": fields, "bytes": size, "sha256": digest}
            with self.server.seen_lock, open(self.server.seen, "a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")

    def log_message(self, *_):
        """Says nothing: the answer is in --seen."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that hangs up is no event here."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ready", required=True)
    parser.add_argument("--seen")
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Origin)
    server.seen = options.seen
    server.seen_lock = Lock()
    server.released = Semaphore(0)
    with open(options.ready + ".new", "w", encoding="ascii") as out:
        out.write("127.0.0.1:%d\n" % server.server_address[1])
    os.rename(options.ready + ".new", options.ready)
    server.serve_forever()


if __name__ == "__main__":
    main()
