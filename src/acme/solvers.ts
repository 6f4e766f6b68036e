import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nameError } from "../error-code.ts";
import type { AcmePlan, ChallengePlan, DnsRecord } from "./acme-plan.ts";
import { loadCertificates } from "./load-certificates.ts";
import type { MadePair } from "./make-certificates.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";
import { digestKeyAuthorization, type Proof, type Solver, writeDnsValue } from "./solver.ts";

/** What solvers do outside of this folder. */
export interface SolverParts {
  /** Shows a certificate to those who ask for `acme-tls/1` and this name; undefined takes it away. */
  readonly showCertificate: (name: string, pair: MadePair | undefined) => AcmeResult<void>;
  /** The listeners that show it, for people. */
  readonly describeListeners: () => string;
  /** Answers these paths on a port, and nothing else. */
  readonly serveTexts: (port: number, texts: ReadonlyMap<string, string>) => AcmeResult<{ stop(): Promise<void> }>;
  /** Calls a function of the configuration, which may fail in any way; gives why it did. */
  readonly callHook: (call: () => unknown) => Promise<string | undefined>;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const PATH = "/.well-known/acme-challenge/";

export function createSolver({ challenge }: Pick<AcmePlan, "challenge">, parts: SolverParts): Solver {
  if (challenge.type === "tls-alpn-01") return solveByTls(parts);
  if (challenge.type === "dns-01") return solveByDns(challenge, parts);
  return "port" in challenge ? solveByListener(challenge.port, parts) : solveByFiles(challenge.webroot);
}

/** RFC 8737: a certificate with the proof in it, over the listener that the certificate is for. */
function solveByTls({ showCertificate, describeListeners, now }: SolverParts): Solver {
  const shown: string[] = [];
  return {
    type: "tls-alpn-01",
    get hint() {
      return `It connects to port 443 of the name, which must lead to ${describeListeners()}`;
    },
    async begin(proofs) {
      const { makeChallengeCertificate } = await loadCertificates();
      for (const { name, keyAuthorization } of proofs) {
        const pair = await makeChallengeCertificate(name, digestKeyAuthorization(keyAuthorization), now());
        shown.push(name);
        const result = showCertificate(name, pair);
        if (!result.ok) return result;
      }
      return succeed(undefined);
    },
    end() {
      for (const name of shown.splice(0)) showCertificate(name, undefined);
      return Promise.resolve();
    },
  };
}

/** RFC 8555 §8.3, with a listener that is open only meanwhile. */
function solveByListener(port: number, { serveTexts }: SolverParts): Solver {
  let server: { stop(): Promise<void> } | undefined;
  return {
    type: "http-01",
    hint: `It asks http:// at port 80 of the name, which must lead to port ${port} of this machine`,
    begin(proofs) {
      const texts = new Map(proofs.map(({ token, keyAuthorization }) => [PATH + token, keyAuthorization]));
      const started = serveTexts(port, texts);
      if (started.ok) server = started.value;
      return Promise.resolve(started.ok ? succeed(undefined) : started);
    },
    async end() {
      await server?.stop();
      server = undefined;
    },
  };
}

/** RFC 8555 §8.3, with files that a web server serves. */
function solveByFiles(webroot: string): Solver {
  const folder = join(webroot, PATH);
  const written: string[] = [];
  return {
    type: "http-01",
    hint: `It asks http:// at port 80 of the name, where a web server must serve the files of ${JSON.stringify(folder)}`,
    async begin(proofs) {
      try {
        await mkdir(folder, { recursive: true });
        for (const { token, keyAuthorization } of proofs) {
          const file = join(folder, token);
          written.push(file);
          // It is public: the web server is another user.
          await writeFile(file, keyAuthorization, { mode: 0o644 });
        }
      } catch (error) {
        return failAcme(`the folder ${JSON.stringify(folder)} of "webroot" cannot be written: ${nameError(error)}`);
      }
      return succeed(undefined);
    },
    async end() {
      for (const file of written.splice(0)) await rm(file, { force: true }).catch(() => {});
    },
  };
}

/** RFC 8555 §8.4, with functions of the configuration. */
function solveByDns({ add, remove, waitMs }: Extract<ChallengePlan, { type: "dns-01" }>, parts: SolverParts): Solver {
  const added: DnsRecord[] = [];
  return {
    type: "dns-01",
    hint: 'It asks the name servers of the name for the TXT record that "dns.add" adds; "dns.wait" may be too short',
    async begin(proofs, signal) {
      for (const record of proofs.map(writeRecord)) {
        added.push(record);
        const fault = await parts.callHook(() => add(record));
        if (fault !== undefined) return failAcme(`the function "dns.add" ${fault} for ${record.name}`);
      }
      if (proofs.length > 0) await parts.wait(waitMs, signal);
      return succeed(undefined);
    },
    async end() {
      for (const record of added.splice(0)) await parts.callHook(() => remove(record));
    },
  };
}

function writeRecord({ name, keyAuthorization }: Proof): DnsRecord {
  return { name: `_acme-challenge.${name}`, value: writeDnsValue(keyAuthorization) };
}
