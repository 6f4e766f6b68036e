import type { ClientHello } from "../read/client-hello.ts";
import type { TlsExtension } from "../read/extension.ts";
import { type HandshakeMessage, nameMessageType, numberOfMessage } from "../read/handshake-message.ts";
import {
  nameCertificateCompression,
  nameCipherSuite,
  nameClientCertificateType,
  nameCompressionMethod,
  nameExtension,
  nameGroup,
  namePointFormat,
  namePskMode,
  nameSignatureScheme,
  nameVersion,
} from "../read/iana.ts";
import type { ServerHello } from "../read/server-hello.ts";
import type { ServerKeyExchange } from "../read/server-messages.ts";
import type { Tls13Message } from "./tls13-message.ts";

/** One line of what a message says: what is absent from the message is absent here. */
export interface MessageField {
  /** Lower case, as the RFCs name it where they do. */
  readonly label: string;
  readonly value: string | readonly string[];
}

/** A handshake message in words for a person. All text is printable ASCII. */
export interface DescribedMessage {
  /** `ClientHello`, `HelloRetryRequest`, `ServerHelloDone`, …, or the number of its type. */
  readonly name: string;
  readonly fields: readonly MessageField[];
}

/** Describes a message: every number by its IANA name, every list in wire order. Chains are left to `explainChain`. */
export function describeMessage(message: HandshakeMessage | Tls13Message): DescribedMessage {
  const fields: MessageField[] = [];
  for (const [label, value] of listFields(message))
    if (value !== undefined && value.length > 0) fields.push({ label, value });
  return { name: nameMessage(message), fields };
}

function nameMessage(message: HandshakeMessage | Tls13Message): string {
  if (message.type === "server_hello" && message.helloRetryRequest) return "HelloRetryRequest";
  return nameMessageType(numberOfMessage(message));
}

/** A label, and a value that may turn out to be absent. */
type Entry = readonly [label: string, value: string | readonly string[] | undefined];

function listFields(message: HandshakeMessage | Tls13Message): readonly Entry[] {
  switch (message.type) {
    case "client_hello":
      return listClientHello(message);
    case "server_hello":
      return listServerHello(message);
    case "encrypted_extensions":
      return [
        ["alpn", ifThere(message.alpn, escapeText)],
        ["server name", message.serverName ? "acknowledged" : undefined],
        ["groups", message.groups.map(nameGroup)],
        ["early data", message.earlyData ? "accepted" : undefined],
        ["record size limit", ifThere(message.recordSizeLimit, formatBytes)],
        ["extensions", nameExtensions(message.extensions)],
      ];
    case "certificate":
      return [
        ["certificates", String(message.chain.length)],
        ["sizes", message.chain.map(({ length }) => formatBytes(length))],
        ["extensions", "extensions" in message ? nameExtensions(message.extensions) : undefined],
      ];
    case "server_key_exchange":
      return listKeyExchange(message);
    case "certificate_request": {
      const algorithms: Entry = ["signature algorithms", message.signatureAlgorithms.map(nameSignatureScheme)];
      if ("extensions" in message) return [algorithms, ["extensions", nameExtensions(message.extensions)]];
      const types: Entry = ["certificate types", message.certificateTypes.map(nameClientCertificateType)];
      return [types, algorithms, ["authorities", String(message.authorities.length)]];
    }
    case "certificate_verify":
      return [
        ["signature algorithm", ifThere(message.signatureScheme, nameSignatureScheme)],
        ["signature", formatBytes(message.signatureLength)],
      ];
    case "new_session_ticket":
      return [
        ["lifetime", `${message.lifetime} s`],
        ["ticket", formatBytes(message.ticketLength)],
        ["early data", "maxEarlyData" in message ? ifThere(message.maxEarlyData, formatBytes) : undefined],
      ];
    case "finished":
      return [["verify data", formatBytes(message.length)]];
    case "key_update":
      return [["update", message.requested ? "requested in return" : "not requested in return"]];
    case "other":
      return [["body", formatBytes(message.length)]];
  }
}

function listClientHello(hello: ClientHello): readonly Entry[] {
  const ech = hello.encryptedClientHello;
  return [
    ["legacy version", nameVersion(hello.legacyVersion)],
    ["random", hello.random.toHex()],
    ["session id", hello.sessionId.toHex()],
    ["server name", hello.serverName],
    ["alpn", hello.alpn.map(escapeText)],
    ["supported versions", hello.supportedVersions.map(nameVersion)],
    ["cipher suites", hello.cipherSuites.map(nameCipherSuite)],
    ["compression methods", hello.compressionMethods.map(nameCompressionMethod)],
    ["groups", hello.groups.map(nameGroup)],
    ["key shares", hello.keyShares.map(formatKeyShare)],
    ["signature algorithms", hello.signatureAlgorithms.map(nameSignatureScheme)],
    ["certificate signature algorithms", hello.signatureAlgorithmsCert.map(nameSignatureScheme)],
    ["delegated credentials", hello.delegatedCredentialAlgorithms.map(nameSignatureScheme)],
    ["point formats", hello.pointFormats.map(namePointFormat)],
    ["psk modes", hello.pskModes.map(namePskMode)],
    ["psk identities", hello.pskIdentities.map(({ length }) => formatBytes(length))],
    ["session ticket", ifThere(hello.sessionTicketLength, formatBytes)],
    ["early data", hello.earlyData ? "offered" : undefined],
    [
      "encrypted client hello",
      ech?.kind === "outer"
        ? `outer, ${formatBytes(ech.payloadLength)} sealed, configuration ${ech.configId}`
        : ech?.kind,
    ],
    ["certificate compression", hello.certificateCompressions.map(nameCertificateCompression)],
    ["application settings", hello.applicationSettings.map(escapeText)],
    ["cookie", ifThere(hello.cookieLength, formatBytes)],
    ["record size limit", ifThere(hello.recordSizeLimit, formatBytes)],
    ["padding", ifThere(hello.paddingLength, formatBytes)],
    ["extensions", nameExtensions(hello.extensions)],
  ];
}

function listServerHello(hello: ServerHello): readonly Entry[] {
  return [
    ["version", nameVersion(hello.version)],
    ["random", hello.random.toHex()],
    ["session id", hello.sessionId.toHex()],
    ["cipher suite", nameCipherSuite(hello.cipherSuite)],
    ["compression method", nameCompressionMethod(hello.compressionMethod)],
    ["alpn", ifThere(hello.alpn, escapeText)],
    hello.helloRetryRequest
      ? ["group", ifThere(hello.keyShare?.group, nameGroup)]
      : ["key share", ifThere(hello.keyShare, formatKeyShare)],
    ["psk index", ifThere(hello.pskIndex, String)],
    ["cookie", ifThere(hello.cookieLength, formatBytes)],
    ["downgraded from", hello.downgradedFrom],
    ["extensions", nameExtensions(hello.extensions)],
  ];
}

function listKeyExchange({ exchange, signatureScheme }: ServerKeyExchange): readonly Entry[] {
  const signature: Entry = ["signature algorithm", ifThere(signatureScheme, nameSignatureScheme)];
  switch (exchange.kind) {
    case "ecdhe":
      return [["group", nameGroup(exchange.group)], ["public key", formatBytes(exchange.publicLength)], signature];
    case "dhe":
      return [["prime", `${exchange.primeBits} bits`], ["public key", formatBytes(exchange.publicLength)], signature];
    case "psk":
      return [["hint", formatBytes(exchange.hintLength)]];
    case "other":
      return [];
  }
}

function ifThere<T>(value: T | undefined, format: (value: T) => string): string | undefined {
  return value === undefined ? undefined : format(value);
}

function nameExtensions(extensions: readonly TlsExtension[]): string[] {
  return extensions.map(({ type }) => nameExtension(type));
}

function formatKeyShare(share: { group: number; length: number }): string {
  return `${nameGroup(share.group)} (${formatBytes(share.length)})`;
}

function formatBytes(length: number): string {
  return length === 1 ? "1 byte" : `${length} bytes`;
}

/** A peer chooses these bytes: they must not reach a terminal as they are. */
function escapeText(text: string): string {
  return text.replace(/[^!-~]|\\/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
