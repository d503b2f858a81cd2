// The connection to the server: unpacks messages, says what has been seen, and comes back after it was lost.

const AGAIN_MS = 1500;
const REASONS = {
  1008: "The server did not understand this page; reload it.",
  4001: "This page fell behind and was dropped. Connecting again …",
  4002: "Too many pages are open already. Trying again …",
};

function unpack(buffer) {
  const view = new DataView(buffer);
  const parts = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const length = view.getUint32(at, true);
    parts.push(new Uint8Array(buffer, at + 4, length));
    at += 4 + length;
  }
  return [JSON.parse(new TextDecoder().decode(parts[0])), parts.slice(1)];
}

// hear(message, pictures) for every message; lost(why) when the connection is gone. Returns {send, over}.
export function connect(hear, lost) {
  let socket = null;
  let finished = false;
  function open() {
    let seen = 0;
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live${location.search}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      seen += 1;
      hear(...unpack(event.data));
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "seen", number: seen }));
    };
    socket.onclose = (event) => {
      if (finished) return;
      lost(REASONS[event.code] || "The connection is lost. If the program has ended, so has this page; else it comes back.");
      if (event.code !== 1008) setTimeout(open, AGAIN_MS);
    };
  }
  open();
  return {
    send(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    over() {
      finished = true;
    },
  };
}

// Draws PNG bytes on a canvas, at the picture's own size. Of pictures that come while one is decoded the newest is drawn.
export function painter(canvas) {
  let busy = false;
  let next = null;
  return async function paint(bytes) {
    next = bytes;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      const bitmap = await createImageBitmap(new Blob([now], { type: "image/png" }));
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
    }
    busy = false;
  };
}
