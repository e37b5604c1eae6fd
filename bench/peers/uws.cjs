// Publish and subscribe on uWebSockets' prebuilt module, at its best: one thread, no compression, and what a
// turn has received is published after it (publishing inside the message handler is up to 25 times slower,
// because every message then flushes to every subscriber).
//
// `S name name ..` subscribes and is answered `ok`; `P`, five letters of a name, payload: publishes.
// node uws.cjs MODULE PORT
const uWS = require(process.argv[2]);
const text = new TextDecoder('latin1');
let pending = [];
let armed = false;

function flush() {
  armed = false;
  const batch = pending;
  pending = [];
  for (let at = 0; at < batch.length; at += 2) app.publish(batch[at], batch[at + 1], false, false);
}

const app = uWS.App({}).ws('/*', {
  compression: uWS.DISABLED,
  maxPayloadLength: 1 << 20,
  maxBackpressure: 256 << 20,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  message(socket, message) {
    const bytes = new Uint8Array(message);
    if (bytes[0] === 0x50) {
      // The buffer is taken back after this call: the payload is copied.
      pending.push(name(bytes), message.slice(6));
      if (!armed) {
        armed = true;
        setImmediate(flush);
      }
      return;
    }
    for (const topic of text.decode(bytes.subarray(1)).split(' ')) if (topic) socket.subscribe(topic);
    socket.send('ok', false, false);
  },
}).listen('127.0.0.1', Number(process.argv[3]), (socket) => {
  if (!socket) process.exit(1);
});

// Names are `c` and four digits: a table saves decoding text for each message.
const names = new Map();
function name(bytes) {
  const key = ((bytes[2] * 64 + bytes[3]) * 64 + bytes[4]) * 64 + bytes[5];
  let known = names.get(key);
  if (known === undefined) names.set(key, (known = text.decode(bytes.subarray(1, 6))));
  return known;
}
