#!/usr/bin/env node
// An origin of HTTP/1.1 and HTTP/2 over TLS, WebSockets and git on loopback.
//
//     secure.mjs --ready FILE --cert FILE --key FILE --git FOLDER
//
// GET /bytes/N   N bytes that repeat no kilobyte       POST /echo  version, method and digest of what arrived
// GET /git/…     the repositories in FOLDER            /ws         every message as it came, text and binary, and a greeting
//
// Needs the package `ws` in the folder named by MODULES.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const { WebSocketServer } = createRequire(`${process.env.MODULES}/`)("ws");
const words = ["ready", "cert", "key", "git"];
const { values } = parseArgs({ options: Object.fromEntries(words.map((word) => [word, { type: "string" }])) });

const bytes = (length) => {
  const body = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4) body.writeUInt32BE((at * 2654435761) % 2 ** 32, Math.min(at, Math.max(length - 4, 0)));
  return body;
};

function echo(request, response) {
  const digest = createHash("sha256");
  let length = 0;
  request.on("data", (piece) => ((length += piece.length), digest.update(piece)));
  request.on("end", () => {
    const text = `HTTP/${request.httpVersion} ${request.method} ${length} ${digest.digest("hex")}\n`;
    response.writeHead(200, { "content-type": "text/plain", "content-length": text.length });
    response.end(text);
  });
}

// The common gateway interface (RFC 3875), as `git http-backend` speaks it.
function git(request, response, url) {
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: values.git,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname.slice("/git".length),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: request.headers["git-protocol"] ?? "",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  backend.stdin.on("error", () => {});
  request.pipe(backend.stdin);
  let head = Buffer.alloc(0);
  backend.stdout.on("data", function begin(piece) {
    head = Buffer.concat([head, piece]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    backend.stdout.off("data", begin);
    let status = 200;
    for (const line of head.subarray(0, end).toString().split("\r\n")) {
      const [name, value] = line.split(": ");
      if (name === "Status") status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  });
}

const server = createSecureServer({
  cert: readFileSync(values.cert),
  key: readFileSync(values.key),
  allowHTTP1: true,
});
server.on("request", (request, response) => {
  const url = new URL(request.url, "https://origin");
  if (url.pathname.startsWith("/git/")) git(request, response, url);
  else if (url.pathname.startsWith("/bytes/")) response.end(bytes(Number(url.pathname.slice("/bytes/".length))));
  else echo(request, response);
});

const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has("chat") ? "chat" : false),
});
server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (peer) => {
    peer.send(`welcome to ${peer.protocol}`);
    peer.on("message", (message, binary) => peer.send(message, { binary }));
  });
});
server.listen(0, "127.0.0.1", () => {
  writeFileSync(`${values.ready}.new`, `127.0.0.1:${server.address().port}\n`);
  renameSync(`${values.ready}.new`, values.ready);
});
