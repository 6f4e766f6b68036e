import type { X509Certificate } from "@peculiar/x509";
import { loadCertificates } from "../../src/acme/load-certificates.ts";
import type { Exchanged, ExchangeOrder } from "../../src/net/http/exchange.ts";

/** A request as the server understood it. */
export interface AcmeRequest {
  readonly method: string;
  /** Of its URL. */
  readonly path: string;
  /** What was signed; undefined without a signature, or for POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | undefined;
  readonly header: Readonly<Record<string, unknown>>;
  /** How many of that path came before it. */
  readonly before: number;
}

/** An answer in place of the usual one. A `type` makes it a problem. */
export interface AcmeAnswer {
  readonly status?: number;
  readonly type?: string;
  readonly detail?: string;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An authority of a test's own: it issues what it is asked for, unless a test has it do something else. */
export interface AcmeServer {
  readonly directory: string;
  readonly exchange: (order: ExchangeOrder) => Promise<Exchanged>;
  /** Its clock, and that of its client: milliseconds since the epoch. */
  now: number;
  /** The clock stands still: who waits does so until it goes on. */
  stopped: boolean;
  /** Lets the clock go on by that time at once; by `jumpMs` when that is half a minute. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** Default: an hour. */
  jumpMs: number;
  readonly requests: AcmeRequest[];
  /** Payloads of orders. */
  readonly orders: Readonly<Record<string, unknown>>[];
  /** In place of the usual answer; `away` is none at all. */
  intercept: (request: AcmeRequest) => AcmeAnswer | "away" | undefined;
  /** Milliseconds that certificates last. */
  lifeMs: number;
  /** What is issued for; those of the request when undefined. */
  names: readonly string[] | undefined;
  /** The chain as it is sent. */
  finish: (chain: readonly string[]) => readonly string[];
  /** The window for a certificate, by its start and end; undefined for no ARI at all. */
  window: ((certificate: { readonly from: number; readonly to: number }) => object) | undefined;
}

const ORIGIN = "https://acme.test";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export async function startAcmeServer(): Promise<AcmeServer> {
  // It comes first: the library decorates its classes.
  await loadCertificates();
  const {
    AuthorityKeyIdentifierExtension,
    BasicConstraintsExtension,
    Pkcs10CertificateRequest,
    SubjectAlternativeNameExtension,
    X509CertificateGenerator,
  } = await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: "CN=ACME test",
    notBefore: new Date(0),
    notAfter: new Date(Date.UTC(2049, 0)),
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const issue = async (csr: string): Promise<X509Certificate> => {
    const request = new Pkcs10CertificateRequest(Buffer.from(csr, "base64url"));
    const extension = request.getExtension("2.5.29.17");
    const asked =
      extension instanceof SubjectAlternativeNameExtension ? extension.names.items.map(({ value }) => value) : [];
    return X509CertificateGenerator.create({
      issuer: root.subjectName,
      notBefore: new Date(server.now - HOUR_MS),
      notAfter: new Date(server.now - HOUR_MS + server.lifeMs),
      publicKey: request.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new SubjectAlternativeNameExtension((server.names ?? asked).map((value) => ({ type: "dns", value }))),
        await AuthorityKeyIdentifierExtension.create(root),
      ],
    });
  };
  let nonces = 0;
  let names: string[] = [];
  let issued: X509Certificate | undefined;
  const order = (): object => ({
    status: issued === undefined ? (isShown ? "ready" : "pending") : "valid",
    authorizations: names.map((name) => `${ORIGIN}/authorization/${name}`),
    finalize: `${ORIGIN}/finalize`,
    ...(issued && { certificate: `${ORIGIN}/certificate` }),
  });
  let isShown = false;
  const answer = async ({ path, payload }: AcmeRequest): Promise<AcmeAnswer> => {
    const [, first, last = ""] = path.split("/");
    switch (first) {
      case "directory":
        return {
          body: {
            newNonce: `${ORIGIN}/nonce`,
            newAccount: `${ORIGIN}/new-account`,
            newOrder: `${ORIGIN}/new-order`,
            ...(server.window && { renewalInfo: `${ORIGIN}/renewal` }),
            meta: { profiles: { classic: "90 days", shortlived: "six days" } },
          },
        };
      case "nonce":
        return {};
      case "new-account":
        return { status: 201, body: { status: "valid" }, headers: { location: `${ORIGIN}/account` } };
      case "account":
        return { body: { status: "valid" } };
      case "new-order":
        server.orders.push(payload ?? {});
        names = ((payload?.["identifiers"] ?? []) as { value: string }[]).map(({ value }) => value);
        [isShown, issued] = [false, undefined];
        return { status: 201, body: order(), headers: { location: `${ORIGIN}/order` } };
      case "order":
        return { body: order() };
      case "authorization":
        return {
          body: {
            status: isShown ? "valid" : "pending",
            identifier: { type: "dns", value: last },
            challenges: ["http-01", "dns-01", "tls-alpn-01"].map((type) => ({
              type,
              url: `${ORIGIN}/challenge/${type}`,
              status: "pending",
              token: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
            })),
          },
        };
      case "challenge":
        isShown = true;
        return { body: { status: "processing" } };
      case "finalize":
        issued = await issue(String(payload?.["csr"]));
        return { body: order() };
      case "certificate":
        return { body: server.finish([issued?.toString("pem") ?? "", root.toString("pem")]).join("\n") };
      case "renewal":
        if (issued === undefined) throw new Error("Nothing was issued");
        return {
          body: server.window?.({ from: issued.notBefore.getTime(), to: issued.notAfter.getTime() }) ?? {},
          headers: { "retry-after": "43200" },
        };
      default:
        return { status: 404, type: "malformed" };
    }
  };
  const server: AcmeServer = {
    directory: `${ORIGIN}/directory`,
    now: Date.UTC(2026, 10, 28),
    stopped: false,
    async wait(ms, signal) {
      do await Bun.sleep(0);
      while (this.stopped && !signal.aborted);
      if (!signal.aborted) this.now += ms === 30_000 ? this.jumpMs : ms;
    },
    jumpMs: HOUR_MS,
    requests: [],
    orders: [],
    intercept: () => undefined,
    lifeMs: 90 * DAY_MS,
    names: undefined,
    finish: (chain) => chain,
    window: undefined,
    async exchange({ method, url, body }) {
      const path = new URL(url).pathname;
      const jws = body === undefined ? undefined : (JSON.parse(body) as Record<string, string>);
      const before = server.requests.filter((each) => each.path === path).length;
      const request = {
        method,
        path,
        payload: decode(jws?.["payload"]),
        header: decode(jws?.["protected"]) ?? {},
        before,
      };
      server.requests.push(request);
      const planted = server.intercept(request);
      if (planted === "away") return { kind: "failed", fault: "away", why: "cannot be reached: ECONNREFUSED" };
      const { status = 200, type, detail, body: content, headers = {} } = planted ?? (await answer(request));
      const problem = type === undefined ? undefined : { type: `urn:ietf:params:acme:error:${type}`, detail };
      nonces += 1;
      const fields: Readonly<Record<string, string>> = {
        "replay-nonce": `nonce-${nonces}`,
        "content-type": problem ? "application/problem+json" : "application/json",
        ...headers,
      };
      return {
        kind: "answered",
        status: type === undefined ? status : (planted?.status ?? 400),
        header: (name) => fields[name],
        body: Buffer.from(typeof content === "string" ? content : JSON.stringify(problem ?? content ?? {})),
      };
    },
  };
  return server;
}

/** Answers one path in place of the server. */
export function on(
  path: string,
  answer: AcmeAnswer | "away" | ((request: AcmeRequest) => AcmeAnswer | "away" | undefined),
) {
  return (request: AcmeRequest) =>
    request.path.startsWith(path) ? (typeof answer === "function" ? answer(request) : answer) : undefined;
}

function decode(part: string | undefined): Record<string, unknown> | undefined {
  if (part === undefined || part === "") return undefined;
  return JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
}
