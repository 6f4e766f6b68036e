import { nameCipherSuite, nameGroup, nameVersion } from "../../protocol/tls/read/iana.ts";
import { readTlsSession, type SessionMessage, type TlsSession } from "../../protocol/tls/explain/read-tls-session.ts";
import { explainTrust, type TrustBasis } from "./explain-trust.ts";
import type { Recording, Sender } from "./recording.ts";
import type { SecureRecord } from "./trace-record.ts";
import type { Party, TraceStep } from "./trace-step.ts";

/** What was agreed, for a line at the end. */
export interface TlsSummary {
  readonly version: string;
  readonly cipherSuite: string;
  readonly group: string | undefined;
  readonly alpn: string | undefined;
  /** Milliseconds from the ClientHello to the client's Finished. */
  readonly handshakeMs: number | undefined;
}

/** When a record passed, and where it ends in the stream of its sender. */
export type Place = Required<Pick<TraceStep, "at" | "offset">>;

/** The steps of one TLS connection, and what came of it. */
export interface TlsSteps {
  readonly steps: readonly TraceStep[];
  readonly summary: TlsSummary | undefined;
  /** Why encrypted messages are not named. */
  readonly sealed: string | undefined;
  /** The record on the wire that carried the last byte of the application data before `offset`; undefined when that cannot be told. */
  readonly placeOf: (from: Sender, offset: number) => Place | undefined;
}

/** Fields to show where there is room for few. */
const TELLING = [
  "server name",
  "supported versions",
  "version",
  "cipher suite",
  "key share",
  "group",
  "alpn",
  "server",
  "server signed by",
  "trust",
  "signature algorithm",
  "level",
];

/** Lists what passed between client and `peer`; `stream` is what the TLS connection is made of. Application data are left to who knows what they mean. */
export function listTlsSteps(stream: Recording, record: SecureRecord, peer: Party, basis: TrustBasis): TlsSteps {
  const session = readTlsSession(stream.bytesOf("client"), stream.bytesOf("server"), record.secrets.join("\n"));
  const steps = session.messages
    .filter(({ kind }) => kind !== "application_data")
    .map((message): TraceStep => {
      const { from, name, length } = message;
      return {
        at: stream.timeOf(from, message.end) ?? 0,
        offset: message.end,
        from: from === "client" ? "client" : peer,
        to: from === "client" ? peer : "client",
        layer: "tls",
        name,
        ...(message.kind !== "unreadable" || length > 0 ? { bytes: length } : {}),
        ...(message.encrypted && { sealed: true }),
        fields: [...message.fields, ...explainCertificates(message, record, basis)],
        telling: TELLING,
      };
    });
  const placeOf = (from: Sender, offset: number): Place | undefined => {
    if (session.sealed !== undefined) return undefined;
    let passed = 0;
    for (const message of session.messages) {
      if (message.from !== from || message.kind !== "application_data") continue;
      passed += message.length;
      if (passed >= offset) return { at: stream.timeOf(from, message.end) ?? 0, offset: message.end };
    }
    return undefined;
  };
  return { steps, summary: summarise(session, steps), sealed: session.sealed, placeOf };
}

function explainCertificates({ chain, from }: SessionMessage, record: SecureRecord, basis: TrustBasis) {
  if (chain === undefined || from === "client") return [];
  return explainTrust(chain, record.serverName, record.verdict, basis);
}

function summarise({ serverHello, messages }: TlsSession, steps: readonly TraceStep[]): TlsSummary | undefined {
  if (serverHello === undefined) return undefined;
  const find = (label: string, name: string) => {
    const value = messages
      .find((message) => message.name === name)
      ?.fields.find((field) => field.label === label)?.value;
    return typeof value === "string" ? value : undefined;
  };
  const began = steps.find(({ name }) => name === "ClientHello")?.at;
  const ended = steps.filter(({ name }) => name === "Finished").map(({ at }) => at);
  return {
    version: nameVersion(serverHello.version),
    cipherSuite: nameCipherSuite(serverHello.cipherSuite),
    group: serverHello.keyShare ? nameGroup(serverHello.keyShare.group) : find("group", "ServerKeyExchange"),
    alpn: serverHello.alpn ?? find("alpn", "EncryptedExtensions"),
    handshakeMs: began === undefined || ended.length < 2 ? undefined : Math.max(...ended) - began,
  };
}
