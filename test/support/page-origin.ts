import { join } from "node:path";
import type { Certificate } from "./certificate.ts";

/** What a page's server was asked for. */
export interface PageRequest {
  readonly method: string;
  readonly path: string;
  /** The proxies that the request says it passed. */
  readonly via: string | null;
}

/** A server on a free loopback port with `page.html` and all of its parts. */
export interface PageOrigin extends Disposable {
  readonly port: number;
  /** In the order in which they came, WebSockets too. */
  readonly requests: readonly PageRequest[];
}

/** What each part of the page has to come to, whichever origin it is from. */
export const pageParts = {
  style: "styled",
  script: "ran",
  "image 1": "200x150",
  "image 2": "200x150",
  "image 3": "200x150",
  fetch: "data",
  post: "same",
  websocket: "welcome, over the websocket, 1000",
};

const page = join(import.meta.dir, "../client/programs/page.html");
const anywhere = { "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store" };

/** Starts it, with TLS when there is a certificate to show. */
export function startPageOrigin(tls?: Certificate): PageOrigin {
  const requests: PageRequest[] = [];
  const reported = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    ...(tls && { tls }),
    async fetch(request, self) {
      const { pathname, search } = new URL(request.url);
      requests.push({ method: request.method, path: pathname, via: request.headers.get("Via") });
      const whose = search.slice(1);
      switch (pathname) {
        case "/page.html":
          return new Response(Bun.file(page), { headers: anywhere });
        case "/style.css":
          return new Response(Bun.gzipSync(`:root { --${whose}: styled; }`), {
            headers: { ...anywhere, "Content-Type": "text/css", "Content-Encoding": "gzip" },
          });
        case "/script.js":
          return new Response(streamScript(whose), { headers: { ...anywhere, "Content-Type": "text/javascript" } });
        case "/image.bmp":
        case "/last.bmp":
          if (pathname === "/last.bmp") await reported.promise;
          return new Response(image, { headers: { ...anywhere, "Content-Type": "image/bmp" } });
        case "/data.json":
          return Response.json({ says: "data" }, { headers: anywhere });
        case "/echo":
          return new Response(await request.bytes(), { headers: anywhere });
        case "/report":
          reported.resolve();
          return new Response(null, { status: 204 });
        case "/websocket":
          return self.upgrade(request) ? undefined : new Response("Not a WebSocket", { status: 400 });
        default:
          return new Response("Not a part of the page", { status: 404 });
      }
    },
    websocket: {
      open: (socket) => void socket.send("welcome"),
      message: (socket, message) => void socket.send(message),
    },
  });
  return { port: server.port ?? 0, requests, [Symbol.dispose]: () => void server.stop(true) };
}

const SCRIPT_LINES = 200;
const LINE_CHARACTERS = 500;

/** Comes in chunks, without a length. */
async function* streamScript(whose: string): AsyncGenerator<string> {
  for (let line = 0; line < SCRIPT_LINES; line += 1) yield `// ${"-".repeat(LINE_CHARACTERS)}\n`;
  yield `window[${JSON.stringify(whose)}] = "ran";\n`;
}

const WIDTH = 200;
const HEIGHT = 150;

/** A bitmap of 90 KB: its header, and three bytes for each pixel. */
const image = makeBitmap();

function makeBitmap(): Uint8Array<ArrayBuffer> {
  const HEADER = 54;
  const bytes = new Uint8Array(HEADER + WIDTH * HEIGHT * 3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x42_4d);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, HEADER, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, WIDTH, true);
  view.setInt32(22, HEIGHT, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let at = HEADER; at < bytes.length; at += 1) bytes[at] = (at * 31) % 251;
  return bytes;
}

/** The bytes of the big parts from one origin: no less comes from there. */
export const PART_BYTES = 3 * image.length + SCRIPT_LINES * LINE_CHARACTERS;
