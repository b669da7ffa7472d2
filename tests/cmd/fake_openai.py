#!/usr/bin/env python3
"""A model provider on loopback that speaks enough of the OpenAI API for a real agent to take a turn.

The prompt scripts it. A last user message that holds `CALL-TERMINAL <command>` is answered with one tool call whose
arguments arrive three characters at a time; the tool's result, or any other message, is answered with the text
`pong` and a number that depends on the message alone.

    fake_openai.py --ready FILE --seen FILE [--cert FILE --key FILE]

FILE of --ready gets `host:port` once the socket listens. FILE of --seen gets one JSON line a connection, with the
program that made it, and one a request: what a provider sees, the provider's own key included, so it must lie outside
every folder under test. With --cert and --key it speaks HTTPS.
"""

import argparse
import hashlib
import json
import os
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

MODEL = "loopback-1"
COMMAND = re.compile(r"CALL-TERMINAL (.+)")
DELTA_CHARACTERS = 3
MAX_BODY_BYTES = 16 * 1024 * 1024


def text_of(message):
    """The text of a message, whose content is a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))


def reply_to(messages):
    """(`text`, words) or (`terminal`, command): what the model says next."""
    last = messages[-1] if messages else {}
    if last.get("role") == "user":
        command = COMMAND.search(text_of(last))
        if command:
            return "terminal", command.group(1).strip()
    users = [m for m in messages if m.get("role") == "user"]
    asked = text_of(users[-1]) if users else ""
    return "text", "pong " + hashlib.sha256(asked.encode()).hexdigest()[:6]


def deltas(kind, words):
    """The `delta` objects of one streamed answer."""
    yield {"role": "assistant", "content": ""}
    if kind == "text":
        for at in range(0, len(words), DELTA_CHARACTERS):
            yield {"content": words[at : at + DELTA_CHARACTERS]}
        return
    arguments = json.dumps({"command": words})
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": ""}}
    yield {"tool_calls": [call]}
    for at in range(0, len(arguments), DELTA_CHARACTERS):
        piece = arguments[at : at + DELTA_CHARACTERS]
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


class Provider(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def setup(self):
        port = self.client_address[1]
        self.server.write({"caller": program_at(port), "port": port})
        super().setup()

    def do_GET(self):
        self.note(b"")
        if self.path.rstrip("/").endswith("/models"):
            model = {"id": MODEL, "object": "model", "owned_by": "loopback", "context_length": 131072}
            self.answer(200, {"object": "list", "data": [model]})
        else:
            self.answer(404, {"error": {"message": "not here"}})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.answer(413, {"error": {"message": "too long"}})
            return
        body = self.rfile.read(length)
        self.note(body)
        if not self.path.endswith("/chat/completions"):
            self.answer(404, {"error": {"message": "not here"}})
            return
        request = json.loads(body)
        kind, words = reply_to(request.get("messages", []))
        if request.get("stream"):
            self.stream(kind, words)
        else:
            self.answer(200, whole(kind, words))

    def stream(self, kind, words):
        """Server-sent events, one flush each."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for delta in deltas(kind, words):
            self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        finish = "stop" if kind == "text" else "tool_calls"
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, fields):
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        self.chunk(b"data: " + json.dumps(head | fields).encode() + b"\n\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, body):
        """Writes down what arrived, as it arrived."""
        line = {
            "method": self.command,
            "path": self.path,
            "headers": [[name, value] for name, value in self.headers.items()],
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        self.server.write(line)

    def log_message(self, *_):
        """Says nothing: the answer is in --seen."""


class Server(ThreadingHTTPServer):
    """The listener; connections have threads of their own, and so have their handshakes."""

    daemon_threads = True

    def __init__(self, seen, tls):
        super().__init__(("127.0.0.1", 0), Provider)
        self.seen, self.tls, self.seen_lock = seen, tls, Lock()

    def get_request(self):
        stream, address = super().get_request()
        if self.tls:
            stream = self.tls.wrap_socket(stream, server_side=True, do_handshake_on_connect=False)
        return stream, address

    def handle_error(self, request, client_address):
        """A client that goes away, or does not trust us, is its own affair."""

    def write(self, line):
        with self.seen_lock, open(self.seen, "a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")


def program_at(port):
    """The name of the program whose socket has this local port on loopback."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table][1:]
    sockets = {"socket:[%s]" % row[9] for row in rows if row[1] == "0100007F:%04X" % port}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            open_files = [os.readlink("/proc/%s/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%s/fd" % pid)]
            if sockets.intersection(open_files):
                return os.path.basename(os.readlink("/proc/%s/exe" % pid))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return "unknown"


def whole(kind, words):
    """The same answer in one document."""
    message = {"role": "assistant", "content": words}
    if kind == "terminal":
        function = {"name": "terminal", "arguments": json.dumps({"command": words})}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if kind == "text" else "tool_calls"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ready", required=True)
    parser.add_argument("--seen", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    tls = None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert, options.key)
    server = Server(options.seen, tls)
    with open(options.ready + ".new", "w", encoding="ascii") as out:
        out.write("127.0.0.1:%d\n" % server.server_address[1])
    os.rename(options.ready + ".new", options.ready)
    server.serve_forever()


if __name__ == "__main__":
    main()
