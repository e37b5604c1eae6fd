"""A WebSocket client for typed tables that sends frames built once, and the blocks of rows that it binds."""

import json
import socket
import struct
import sys

T = 1_700_000_000_000


def frame(payload, opcode=1):
    """One WebSocket frame; the mask is of zeros, so the payload stands as it is."""
    size = len(payload)
    head = bytes([128 | opcode])
    if size < 126:
        head += bytes([128 | size])
    elif size < 65536:
        head += bytes([128 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([128 | 127]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def text(action, **args):
    return frame(json.dumps({"action": action, "args": {"req_id": 1, **args}}).encode())


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sock.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.sock.recv(65536)
        self.buffer = self.buffer.split(b"\r\n\r\n", 1)[1]

    def reply(self):
        while len(self.buffer) < 2 or len(self.buffer) < self.need():
            self.buffer += self.sock.recv(65536)
        size, head = self.sizes()
        payload, self.buffer = self.buffer[head:head + size], self.buffer[head + size:]
        return payload

    def sizes(self):
        size = self.buffer[1] & 127
        return (size, 2) if size < 126 else (int.from_bytes(self.buffer[2:4], "big"), 4)

    def need(self):
        return 4 if len(self.buffer) < 4 and self.buffer[1] & 127 == 126 else sum(self.sizes())

    def ask(self, *frames, replies=None):
        """Sends frames as one write; all their replies must be good."""
        self.sock.sendall(b"".join(frames))
        for _ in range(replies or len(frames)):
            answer = self.reply()
            if not answer.startswith(b'{"code":0,'):
                sys.exit(f"refused: {answer[:300]!r}")
        return json.loads(answer)


def columns(rows, step=1):
    """Time, float, int, float, a row each `step` ms."""
    times = struct.pack(f"<{rows}q", *range(T, T + rows * step, step))
    floats = struct.pack(f"<{rows}f", *(10 + n % 50 / 10 for n in range(rows)))
    ints = struct.pack(f"<{rows}i", *(200 + n % 40 for n in range(rows)))
    return [(9, 8, times), (6, 4, floats), (4, 4, ints), (6, 4, floats)]


def block(rows, step=1):
    """The raw block of version 1, action 2."""
    parts, nulls = columns(rows, step), bytes((rows + 7) // 8)
    body = b"".join(struct.pack("<bi", code, width) for code, width, _ in parts)
    body += b"".join(struct.pack("<i", len(data)) for *_, data in parts)
    body += b"".join(nulls + data for *_, data in parts) + b"\0"
    head = struct.pack("<iiiiIQ", 1, 28 + len(body), rows, len(parts), 0x80000000, 0)
    return struct.pack("<QQQ", 1, 1, 2) + head + body


def bind_two(rows):
    """The bind frame of version 2, action 9, without names: the text names the table."""
    fields = b""
    for code, _, data in columns(rows):
        field = struct.pack("<ii", code, rows) + bytes(rows) + b"\0" + struct.pack("<I", len(data)) + data
        fields += struct.pack("<I", len(field) + 4) + field
    part = struct.pack("<I", len(fields)) + fields
    data = struct.pack("<7I", 28 + len(part), 1, 0, 4, 0, 0, 28) + part
    return struct.pack("<QQQHi", 1, 1, 9, 1, -1) + data
