import { createAuthenticator } from "../../src/proxy/auth/authenticate.ts";
import { CredentialChecks } from "../../src/proxy/auth/credential-checks.ts";
import { Secret } from "../../src/secret.ts";
import { createUserStore } from "../../src/proxy/auth/user-store.ts";
import { listenRaw, type RawServer } from "./raw-peer.ts";

/** What an upstream does with a connection after it has said 407. */
export type After407 = "keeps it" | "keeps it, chunked" | "closes it" | "closes it without a word" | "sends too much";

/** An HTTP proxy that wants Digest from `edge` with the password `pw`. */
export interface DigestUpstream extends Disposable {
  readonly port: number;
  /** What each request showed: `nothing`, or scheme; and on which connection it came, counted from 1. */
  readonly requests: { readonly shown: string; readonly connection: number }[];
  /** Makes every nonce so far too old. */
  expire(): void;
}

const PAGE = "<p>Who are you?</p>";

/** Listens; a tunnel that is granted says `tunnelled`, a request that is taken is repeated in the response. */
export function listenDigestUpstream(after: After407 = "keeps it"): DigestUpstream {
  const requests: { shown: string; connection: number }[] = [];
  const users = createUserStore([{ name: "edge", password: new Secret("pw") }]);
  if (!users.ok) throw new Error("The user is fine");
  const authenticator = createAuthenticator({ users: users.store, schemes: ["digest"], realm: "upstream" });
  let checks = new CredentialChecks();
  let stale = false;
  let connections = 0;

  const answer = async (head: string, body: string): Promise<string> => {
    const [method = "", target = ""] = head.split(" ");
    const shown = /^Proxy-Authorization: (.*)\r$/im.exec(head)?.[1];
    const outcome = await authenticator.authenticate(shown === undefined ? [] : [shown], checks, { method, target });
    if (outcome.ok && method === "CONNECT") return "HTTP/1.1 200 OK\r\n\r\ntunnelled";
    if (outcome.ok) {
      const said = `${method} ${target} ${body}`;
      return `HTTP/1.1 200 OK\r\nContent-Length: ${said.length}\r\n\r\n${said}`;
    }
    const said = authenticator.challenge(checks, { stale: stale && shown?.startsWith("Digest") === true });
    const fields = said.map((value) => `Proxy-Authenticate: ${value}\r\n`).join("");
    switch (after) {
      case "keeps it":
      case "closes it without a word":
        return `HTTP/1.1 407 Who\r\n${fields}Content-Length: ${PAGE.length}\r\n\r\n${PAGE}`;
      case "keeps it, chunked":
        return `HTTP/1.1 407 Who\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\n<p>Wh\r\n0\r\nX-Trailer: 1\r\n\r\n`;
      case "closes it":
        return `HTTP/1.1 407 Who\r\n${fields}Connection: close\r\nContent-Length: ${PAGE.length}\r\n\r\n${PAGE}`;
      case "sends too much":
        return `HTTP/1.1 407 Who\r\n${fields}Content-Length: 1000000\r\n\r\n${PAGE}`;
      default:
        return after satisfies never;
    }
  };

  const server: RawServer = listenRaw((peer) => {
    const connection = ++connections;
    let text = "";
    peer.consume = (chunk) => {
      text += Buffer.from(chunk).toString("latin1");
      const end = text.indexOf("\r\n\r\n") + 4;
      if (end < 4) return;
      const head = text.slice(0, end - 2);
      const bodyEnd = end + Number(/^Content-Length: (\d+)/im.exec(head)?.[1] ?? 0);
      // As real ones do, it says 407 before it has the body.
      if (text.length < bodyEnd && /^Proxy-Authorization: Digest/im.test(head)) return;
      const body = text.slice(end, bodyEnd);
      text = text.slice(bodyEnd);
      requests.push({ shown: /^Proxy-Authorization: (\w+)/im.exec(head)?.[1] ?? "nothing", connection });
      void answer(head, body).then((reply) => {
        peer.write(reply);
        if (after.startsWith("closes it") && !reply.startsWith("HTTP/1.1 200 ")) peer.finish();
      });
    };
  });
  return {
    port: server.port,
    requests,
    expire() {
      // Nonces are good where they were made.
      checks = new CredentialChecks();
      stale = true;
    },
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}
