#!/usr/bin/env python3
"""Python's public HTTP and WebSocket clients, configured by the environment alone. Says what they got.

    clients.py urllib|requests|httpx|httpx2|websockets|websockets-plain https://HOST:PORT TEXT
"""

import asyncio
import hashlib
import ssl
import sys


def say(*words):
    print(*words, flush=True)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def with_urllib(origin, text):
    from urllib.request import Request, urlopen

    with urlopen(Request(origin + "/echo", data=text, method="PUT"), timeout=30) as answer:
        say(answer.status, answer.read().decode().strip())
    with urlopen(origin + "/bytes/1000000", timeout=30) as answer:
        say(answer.status, sha256(answer.read()))


def with_requests(origin, text):
    import requests

    with requests.Session() as session:
        answer = session.post(origin + "/echo", data=text, timeout=30)
        say(answer.status_code, answer.text.strip())
        # A generator is sent chunked.
        answer = session.post(origin + "/echo", data=iter([text] * 3), timeout=30)
        say(answer.status_code, answer.text.strip())
        say(sha256(session.get(origin + "/bytes/1000000", timeout=30).content))


def with_httpx(origin, text, http2=False):
    import httpx

    with httpx.Client(http2=http2, timeout=30) as client:
        answer = client.post(origin + "/echo", content=text)
        say(answer.http_version, answer.status_code, answer.text.strip())
        for _ in range(20):
            answer = client.get(origin + "/bytes/100000")
            say(answer.http_version, answer.status_code, sha256(answer.content))


async def with_websockets(origin, text, compression="deflate"):
    from websockets.asyncio.client import connect

    url = origin.replace("https", "wss") + "/ws"
    text = text.decode()
    trust = ssl.create_default_context()
    async with connect(url, ssl=trust, subprotocols=["chat"], compression=compression, open_timeout=30) as socket:
        say(socket.subprotocol, await asyncio.wait_for(socket.recv(), 30))
        for message in [text, "y" * 70_000, "", text.encode(), text]:
            await socket.send(message)
            back = await asyncio.wait_for(socket.recv(), 30)
            say(type(back).__name__, back == message)
        # In fragments, with a Ping among them.
        async def pieces():
            yield text[:5]
            await (await socket.ping())
            yield text[5:]

        await socket.send(pieces())
        say(await asyncio.wait_for(socket.recv(), 30) == text)
    say("closed", socket.close_code)


def main():
    client, origin, text = sys.argv[1:]
    text = text.encode()
    match client:
        case "urllib":
            with_urllib(origin, text)
        case "requests":
            with_requests(origin, text)
        case "httpx":
            with_httpx(origin, text)
        case "httpx2":
            with_httpx(origin, text, http2=True)
        case "websockets":
            asyncio.run(with_websockets(origin, text))
        case "websockets-plain":
            asyncio.run(with_websockets(origin, text, compression=None))
        case _:
            sys.exit(f"no such client: {client}")


if __name__ == "__main__":
    main()
