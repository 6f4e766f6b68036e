import { join } from "node:path";
import { type CertificateAuthority, makeAuthority } from "./certificate-authority.ts";
import type { Certificate } from "./certificate.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";

/** What an origin was asked. */
export interface OriginRequest {
  readonly method: string;
  /** The URL as the origin takes it: its own scheme, and the request's Host. */
  readonly url: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Two servers on free loopback ports that answer alike, one with TLS. */
export interface OriginPair extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly plain: string;
  /** `https://127.0.0.1:PORT`. */
  readonly secure: string;
  /** Of both, in the order in which they came. */
  readonly requests: readonly OriginRequest[];
  /** Signed the certificate of the one with TLS. */
  readonly authority: CertificateAuthority;
  /** PEM file of the authority. */
  readonly caFile: string;
}

export const HELLO = "hello from the origin\n";

/**
 * Starts them. `GET /hello` and below, `POST /echo`, and a WebSocket anywhere
 * that says `welcome` and gives back what it gets.
 */
export async function startOriginPair(): Promise<OriginPair> {
  await using stack = new AsyncDisposableStack();
  const authority = stack.use(await makeAuthority());
  const folder: TemporaryFolder = stack.use(await makeFolder({ "ca.pem": authority.cert }));
  const requests: OriginRequest[] = [];
  const start = (tls?: Certificate): number => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      ...(tls && { tls }),
      async fetch(request, self) {
        const { method, url, headers } = request;
        requests.push({ method, url, fields: Object.fromEntries(headers) });
        if (self.upgrade(request)) return undefined;
        const { pathname } = new URL(url);
        if (pathname.startsWith("/hello")) return new Response(HELLO);
        if (pathname === "/echo") return new Response(await request.bytes());
        return new Response("nothing here\n", { status: 404 });
      },
      websocket: {
        perMessageDeflate: true,
        open: (socket) => void socket.send("welcome"),
        message: (socket, message) => void socket.send(message),
      },
    });
    stack.defer(() => server.stop(true));
    return server.port ?? 0;
  };
  const plain = `http://127.0.0.1:${start()}`;
  const secure = `https://127.0.0.1:${start(await authority.issue())}`;
  const owned = stack.move();
  return {
    plain,
    secure,
    requests,
    authority,
    caFile: join(folder.path, "ca.pem"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
