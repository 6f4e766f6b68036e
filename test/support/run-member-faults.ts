import { makeAuthority } from "./certificate-authority.ts";
import { startConnectUpstream } from "./connect-upstream.ts";
import { ask, ok, serveHttp, takeResponse } from "./http-origin.ts";
import { listenAsMember } from "./member-peers.ts";
import { type MemberKind, memberKinds, MemberProgram } from "./member-programs.ts";
import { type PoolSettings, rules, startPool, stateOf, useTunnel } from "./pool-proxy.ts";
import { expectProgram } from "./program.ts";
import type { TestProxy } from "./proxy.ts";
import { listenEcho, type RawServer } from "./raw-peer.ts";
import { waitFor } from "./wait-for.ts";

/** Where this file is, to be run within a network namespace of its own. */
export const runner = import.meta.path;

/** One row of the table in docs/upstreams.md. */
export interface FaultRow {
  readonly member: string;
  readonly fault: string;
  /** What clients get, and from which member. */
  readonly clients: string;
  /** The health of the member then, and the reason. */
  readonly health: string;
  /** What becomes of it when the fault is gone. */
  readonly after: string;
}

/** Times that clients use the pool while a member has its fault: as many as eject it, and one more. */
const USES = 4;

const eject = { failures: 3, for: "300ms", max: "600ms" };

interface Fault {
  readonly fault: string;
  readonly url: string;
  readonly more?: Partial<PoolSettings>;
  readonly ca?: string;
  /** What clients do; they open tunnels when it is absent. */
  readonly method?: "GET" | "POST";
  begin(): Promise<void> | void;
  /** Ends the fault; undefined when the member stays as it is. */
  readonly end?: () => Promise<void> | void;
}

/** Has a pool use a member with a fault, and another one behind it. */
async function observe(member: string, { fault, url, more, ca, method, begin, end }: Fault): Promise<FaultRow> {
  using echo = listenEcho();
  // A target that answers nothing but GET.
  using origin = serveHttp(({ head, peer }) => {
    if (head.startsWith("GET ")) return ok("page");
    peer.finish();
    return undefined;
  });
  const use = (proxy: TestProxy): Promise<string> =>
    method === undefined ? useTunnel(proxy, echo.port) : useRequest(proxy, method, origin.uri());
  await using good = await startConnectUpstream();
  const first = { url, name: "first", ...(ca !== undefined && { ca: "ca.pem" }) };
  await using proxy = await startPool(
    {
      pool: [first, { url: `http://127.0.0.1:${good.port}`, name: "second", tunnelHttp: true }],
      balance: "first",
      eject,
      ...more,
    },
    { rules, timeouts: { connect: "6s" } },
    ca === undefined ? {} : { files: { "ca.pem": ca } },
  );
  if (end !== undefined) {
    await use(proxy);
    const before = await proxy.record(0);
    if (before["member"] !== "exits/first") throw new Error(`${member} was not used before: ${JSON.stringify(before)}`);
  }
  const from = end === undefined ? 0 : 1;
  await begin();
  const got = new Set<string>();
  for (let at = 0; at < USES; at++) {
    const head = await use(proxy);
    got.add(describe(head, await proxy.record(from + at)));
  }
  // Whose fault it was is known then.
  await waitFor(() => stateOf(proxy)?.connections === 0, "the end of all connections");
  const { health, reason, ejections } = stateOf(proxy) ?? {};
  await end?.();
  return {
    member,
    fault,
    clients: [...got].join(", "),
    health: ejections === undefined || ejections === 0 ? `${health}` : `ejected: \`${reason}\``,
    after: end === undefined ? "" : await watchReturn(proxy, use),
  };
}

function describe(head: string, { member, detail }: Record<string, unknown>): string {
  const status = head.slice(9, 12);
  return status === "200"
    ? `200 through the ${String(member).replace("exits/", "")} member`
    : `${status} \`${String(detail)}\``;
}

/** Sends a request, and takes its response. */
async function useRequest(proxy: TestProxy, method: "GET" | "POST", uri: string): Promise<string> {
  using client = await proxy.connect();
  client.write(ask(method, uri, method === "POST" ? "Content-Length: 0\r\n" : ""));
  return (await takeResponse(client)).head;
}

/** Clients go on; resolves when the member carries them again. */
async function watchReturn(proxy: TestProxy, use: (proxy: TestProxy) => Promise<string>): Promise<string> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const at = proxy.records.length;
    const head = await use(proxy);
    const record = await proxy.record(at);
    if (!head.startsWith("HTTP/1.1 200 ")) return `a client got ${describe(head, record)}`;
    if (record["member"] === "exits/first" && stateOf(proxy)?.health === "healthy") return "used again";
    await Bun.sleep(50);
  }
  return "not used again";
}

/** Everything that can happen to one program. */
async function tryProgram(kind: MemberKind): Promise<FaultRow[]> {
  const rows: FaultRow[] = [];
  {
    await using program = await MemberProgram.start(kind, "open");
    const url = `${kind.scheme}://127.0.0.1:${program.port}`;
    const drop = (action: "-A" | "-D") =>
      expectProgram([
        "iptables",
        "-w",
        "10",
        action,
        "INPUT",
        "-p",
        "tcp",
        "--dport",
        String(program.port),
        "-j",
        "DROP",
      ]);
    const faults: Omit<Fault, "url">[] = [
      { fault: "killed (`kill -9`)", begin: () => program.signal("SIGKILL"), end: () => program.restart() },
      { fault: "stopped (`SIGSTOP`)", begin: () => program.signal("SIGSTOP"), end: () => program.signal("SIGCONT") },
      {
        fault: "stopped, and clients send `GET`",
        method: "GET",
        begin: () => program.signal("SIGSTOP"),
        end: () => program.signal("SIGCONT"),
      },
      {
        fault: "all packets to it are lost",
        begin: async () => void (await drop("-A")),
        end: async () => void (await drop("-D")),
      },
    ];
    for (const fault of faults) rows.push(await observe(kind.name, { ...fault, url }));
    if (kind.name === "tinyproxy")
      rows.push(
        await observe(kind.name, {
          fault: "targets close without an answer to `POST`",
          url,
          method: "POST",
          begin: () => {},
        }),
      );
  }
  if (kind.setups.includes("login")) {
    await using program = await MemberProgram.start(kind, "login");
    const url = `${kind.scheme}://edge:wrong@127.0.0.1:${program.port}`;
    rows.push(await observe(kind.name, { fault: "refuses the credentials", url, begin: () => {} }));
  }
  if (kind.setups.includes("denies")) {
    await using program = await MemberProgram.start(kind, "denies");
    const url = `${kind.scheme}://127.0.0.1:${program.port}`;
    rows.push(await observe(kind.name, { fault: "denies the target", url, begin: () => {} }));
    if (kind.scheme === "http") {
      const more = { eject: { ...eject, statuses: [403] } };
      const fault = "answers 403, with `eject.statuses: [403]`";
      rows.push(await observe(kind.name, { fault, url, more, begin: () => {} }));
    }
  }
  return rows;
}

/** What no proxy program does by itself. */
async function tryPeers(): Promise<FaultRow[]> {
  const rows: FaultRow[] = [];
  const peers = {
    "answers garbage": "answers something that is not HTTP",
    "closes after accept": "closes each connection at once",
    "answers 407": "answers 407",
  };
  for (const [behaviour, fault] of Object.entries(peers)) {
    using peer: RawServer = listenAsMember(behaviour);
    rows.push(await observe("any HTTP proxy", { fault, url: `http://127.0.0.1:${peer.port}`, begin: () => {} }));
  }
  await using authority = await makeAuthority();
  const { cert, key } = await authority.issue({ to: "20210101000000Z" });
  await using expired = await startConnectUpstream({ cert, key });
  const url = `https://127.0.0.1:${expired.port}`;
  const fault = "has an expired certificate";
  rows.push(await observe("any HTTPS proxy", { fault, url, ca: authority.cert, begin: () => {} }));
  return rows;
}

if (import.meta.main) {
  await expectProgram(["ip", "link", "set", "lo", "up"]);
  const rows = await Promise.all([...memberKinds.map(tryProgram), tryPeers()]);
  process.stdout.write(JSON.stringify(rows.flat()));
  process.exit(0);
}
