#!/usr/bin/env node
// Node's own fetch and the package ws, configured by the environment alone. Says what they got.
//
//     clients.mjs fetch|ws|ws-plain https://HOST:PORT TEXT
//
// Needs the packages `ws`, `undici` and `https-proxy-agent` in the folder named by MODULES.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const packages = createRequire(`${process.env.MODULES}/`);
const [client, origin, text] = process.argv.slice(2);
const proxy = process.env.HTTPS_PROXY;
const sha256 = (body) => createHash("sha256").update(body).digest("hex");

async function fetches() {
  // This version's fetch reads no proxy from the environment; the package it is made from does.
  const { EnvHttpProxyAgent, fetch } = packages("undici");
  const options = { dispatcher: new EnvHttpProxyAgent() };
  const told = await fetch(`${origin}/echo`, { method: "POST", body: text, ...options });
  console.log(told.status, (await told.text()).trim());
  const page = await fetch(`${origin}/bytes/1000000`, options);
  console.log(page.status, sha256(Buffer.from(await page.arrayBuffer())));
}

async function talks(compressed) {
  const { WebSocket } = packages("ws");
  const { HttpsProxyAgent } = packages("https-proxy-agent");
  const agent = proxy ? new HttpsProxyAgent(proxy) : undefined;
  const socket = new WebSocket(`${origin.replace("https", "wss")}/ws`, ["other", "chat"], {
    agent,
    perMessageDeflate: compressed && { threshold: 0 },
  });
  const said = [text, "x".repeat(70_000), "", Buffer.from(text), text];
  for await (const [message, binary] of on(socket, said.length + 1, () => said.forEach((m) => socket.send(m)))) {
    console.log(binary ? "binary" : "text", message.length, sha256(message));
  }
  console.log(socket.protocol, socket.extensions.split(";")[0]);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.close(1000, "enough");
  console.log("closed", await closed);
}

async function* on(socket, count, opened) {
  const waiting = [];
  let wake = () => {};
  socket.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  socket.on("message", (...message) => (waiting.push(message), wake()));
  socket.on("open", opened);
  for (let n = 0; n < count; n++) {
    while (waiting.length === 0) await new Promise((resolve) => (wake = resolve));
    yield waiting.shift();
  }
}

await { fetch: fetches, ws: () => talks(true), "ws-plain": () => talks(false) }[client]();
process.exit(0);
