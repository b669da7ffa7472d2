#!/usr/bin/env python3
"""A port on loopback that leads to another by way of an HTTP proxy, for clients that know of none.

    bridge.py --ready FILE --proxy http://USER:PASSWORD@HOST:PORT --to HOST:PORT
"""

import argparse
import asyncio
import base64
import os
from urllib.parse import urlsplit


async def pump(reader, writer):
    """Until the end, which is passed on."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def lead(options, reader, writer):
    proxy = urlsplit(options.proxy)
    up, down = await asyncio.open_connection(proxy.hostname, proxy.port)
    credential = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    down.write(f"CONNECT {options.to} HTTP/1.1\r\nHost: {options.to}\r\n"
               f"Proxy-Authorization: Basic {credential}\r\n\r\n".encode())
    head = await up.readuntil(b"\r\n\r\n")
    if b" 200 " in head.splitlines()[0]:
        await asyncio.gather(pump(reader, down), pump(up, writer))
    down.close()
    writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--ready", "--proxy", "--to"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    server = await asyncio.start_server(lambda r, w: lead(options, r, w), "127.0.0.1", 0)
    with open(options.ready + ".new", "w", encoding="ascii") as out:
        out.write("127.0.0.1:%d\n" % server.sockets[0].getsockname()[1])
    os.rename(options.ready + ".new", options.ready)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
