import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Secret } from "../../secret.ts";

/** Where and how to connect. */
interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly ca: readonly string[] | undefined };
  readonly user?: string;
  readonly password?: Secret;
}

export type ConnectFault =
  /** Redis said this instead of letting us in. */
  | { readonly kind: "answered"; readonly message: string }
  /** `why` continues a sentence that begins with the server. */
  | { readonly kind: "unreachable"; readonly why: string };

/**
 * Connects and logs in once to find out why Bun's client cannot: it only says that
 * the connection was closed. Undefined when nothing is wrong.
 */
export function findConnectFault(address: RedisAddress, ms: number): Promise<ConnectFault | undefined> {
  const { host, port, tls } = address;
  const { promise, resolve } = Promise.withResolvers<ConnectFault | undefined>();
  let stage: "connect" | "tls" | "answer" = "connect";
  const unreachable = (why: string) => resolve({ kind: "unreachable", why });
  const ask = (socket: Socket): void => {
    stage = "answer";
    socket.write(writeLogin(address));
  };
  const socket =
    tls === undefined
      ? connectPlain({ host, port }, () => ask(socket))
      : connectTls(
          { host, port, servername: /[a-z]/i.test(host) ? host : "", ...(tls.ca && { ca: [...tls.ca] }) },
          () => ask(socket),
        );
  socket.once("connect", () => {
    if (stage === "connect") stage = "tls";
  });
  socket.once("data", (bytes: Buffer) => {
    const [line = ""] = bytes.toString("latin1").split("\r\n", 1);
    resolve(line.startsWith("-") ? { kind: "answered", message: line.slice(1) } : findForeign(bytes, line));
  });
  socket.once("error", (error: Error & { readonly code?: string }) =>
    unreachable(explainError(error, stage, tls !== undefined)),
  );
  socket.once("close", () => unreachable(closed(stage, tls !== undefined)));
  const timer = setTimeout(() => unreachable(late[stage](ms / 1000)), ms);
  return promise.finally(() => {
    clearTimeout(timer);
    socket
      .removeAllListeners()
      .on("error", () => {})
      .destroy();
  });
}

/** AUTH, or PING where there is no password, as Redis reads them. */
function writeLogin({ user, password }: RedisAddress): string {
  const words = password === undefined ? ["PING"] : ["AUTH", ...(user === undefined ? [] : [user]), password.reveal()];
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

function findForeign(bytes: Buffer, line: string): ConnectFault | undefined {
  if (line.startsWith("+")) return undefined;
  // The first byte of a TLS record: an alert or a handshake.
  const speaksTls = bytes[0] === 0x15 || bytes[0] === 0x16;
  return {
    kind: "unreachable",
    why: speaksTls ? 'speaks TLS. Write "rediss://" in "state.redis"' : "does not answer as Redis does",
  };
}

function explainError({ code, message }: Error & { readonly code?: string }, stage: string, isSecure: boolean): string {
  const known = code === undefined ? undefined : reasons[code];
  if (known !== undefined) return known;
  if (stage === "answer") return closed(stage, isSecure);
  if (stage !== "tls") return `cannot be reached (${code ?? "unknown error"})`;
  if (/CERT|SIGNED|ISSUER|ALTNAME|certificate/i.test(`${code} ${message}`))
    return `has a certificate that is not accepted (${code ?? message}). Set "state.ca" to the file of its authority`;
  return closed("tls", true);
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses connections",
  ENOTFOUND: "cannot be found: its name does not resolve",
  EAI_AGAIN: "cannot be found: the name servers do not answer",
  EHOSTUNREACH: "cannot be reached: there is no route",
  ENETUNREACH: "cannot be reached: there is no route",
};

function closed(stage: string, isSecure: boolean): string {
  if (stage === "tls" && isSecure) return 'does not speak TLS. Write "redis://" in "state.redis" if that is meant';
  return isSecure
    ? "closed the connection"
    : 'closed the connection. If it speaks TLS, write "rediss://" in "state.redis"';
}

const late: Readonly<Record<"connect" | "tls" | "answer", (seconds: number) => string>> = {
  connect: (seconds) => `cannot be reached within ${seconds} s`,
  tls: (seconds) => `did not complete TLS within ${seconds} s`,
  answer: (seconds) => `did not answer within ${seconds} s`,
};
