// Node's `ws` as a client: JSON streams with compression, pings and large frames; the mesh from both sides.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(process.env.WEIR_NODE_MODULES + "/");
const { WebSocket } = require("ws");

/** A connection with a queue of what came. */
async function open(url, options) {
  const ws = new WebSocket(url, options);
  const waiting = [];
  const came = [];
  ws.on("message", (data, binary) => {
    const message = binary ? data : data.toString();
    const next = waiting.shift();
    if (next) next(message);
    else came.push(message);
  });
  await once(ws, "open");
  return {
    ws,
    send: (message) => ws.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message)),
    text: () => (came.length ? Promise.resolve(came.shift()) : new Promise((resolve) => waiting.push(resolve))),
    async recv() {
      return JSON.parse(await this.text());
    },
    async close(code) {
      const closed = once(ws, "close");
      ws.close(code);
      return (await closed)[0];
    },
  };
}

for (const perMessageDeflate of [false, true]) {
  const writer = await open(process.env.JSONJET, { perMessageDeflate });
  const reader = await open(process.env.JSONJET, { perMessageDeflate });
  assert.equal(writer.ws.extensions, perMessageDeflate ? "permessage-deflate" : "");
  assert.equal((await writer.recv()).type, "connected");
  assert.equal((await reader.recv()).type, "connected");
  const name = `node_${perMessageDeflate}`;
  writer.send({ type: "execute", query: `create stream ${name}` });
  assert.equal((await writer.recv()).success, true);
  reader.send({ type: "subscribe", streamName: name, requestId: { any: ["value", 1] } });
  assert.deepEqual((await reader.recv()).requestId, { any: ["value", 1] });
  for (let n = 0; n < 2000; n++) writer.send({ type: "insert", target: name, data: { n, text: "é".repeat(n % 50) } });
  for (let n = 0; n < 2000; n++) {
    const { data } = await reader.recv();
    assert.deepEqual(data, { n, text: "é".repeat(n % 50) });
    assert.equal((await writer.recv()).success, true);
  }
  const large = "x".repeat(5_000_000);
  writer.send({ type: "insert", target: name, data: { large } });
  assert.equal((await reader.recv()).data.large, large);
  const pong = once(reader.ws, "pong");
  reader.ws.ping("payload");
  assert.equal((await pong)[0].toString(), "payload");
  assert.equal(await reader.close(1000), 1000);
  assert.equal(await writer.close(3456), 3456);
}

const backend = await open(process.env.MESH);
const user = await open(process.env.USERS);
backend.send({ m: "queue.pop", p: { t: ["chat"] }, i: 1 });
assert.deepEqual(await backend.recv(), { E: null, r: { s: true }, i: 1 });
user.send("hello");
const event = await backend.recv();
assert.deepEqual(event.p.d, { frame: { type: "text", data: "hello", finish: true } });
user.send(Buffer.from([0, 255]));
assert.deepEqual((await backend.recv()).p.d, { frame: { type: "binary", data: "AP8=", finish: true } });
backend.send({ m: "conn.call", p: { c: event.p.c, f: "subscribe", a: ["news"] }, i: 2 });
await backend.recv();
backend.send({ m: "mesh.publish", p: { c: "news", d: "data" }, i: 3 });
assert.deepEqual((await backend.recv()).r, { s: 1, f: 0 });
assert.equal(await user.text(), "data");
backend.send("ping");
assert.equal(await backend.text(), "pong");
assert.equal(await user.close(1000), 1000);
assert.equal(await backend.close(1000), 1000);
console.log("all done");
