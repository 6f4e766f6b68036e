import type { ClientHello } from "../read/client-hello.ts";
import { type HandshakeMessage, numberOfMessage } from "../read/handshake-message.ts";
import {
  nameCertificateCompression,
  nameCipherSuite,
  nameClientCertificateType,
  nameCompressionMethod,
  nameExtension,
  nameGroup,
  nameHandshakeType,
  namePointFormat,
  namePskMode,
  nameSignatureScheme,
  nameVersion,
} from "../read/iana.ts";
import type { ServerHello } from "../read/server-hello.ts";
import type { ServerKeyExchange } from "../read/server-messages.ts";

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
export function describeMessage(message: HandshakeMessage): DescribedMessage {
  return {
    name: nameMessage(message),
    fields: listFields(message).filter(
      (field): field is MessageField => field.value !== undefined && field.value.length > 0,
    ),
  };
}

/** A field that may turn out to be absent. */
interface MaybeField {
  readonly label: string;
  readonly value: string | readonly string[] | undefined;
}

function nameMessage(message: HandshakeMessage): string {
  if (message.type === "server_hello" && message.helloRetryRequest) return "HelloRetryRequest";
  return nameHandshakeType(numberOfMessage(message)).replace(/(?:^|_)([a-z])/g, (_, letter: string) =>
    letter.toUpperCase(),
  );
}

function listFields(message: HandshakeMessage): MaybeField[] {
  switch (message.type) {
    case "client_hello":
      return listClientHello(message);
    case "server_hello":
      return listServerHello(message);
    case "certificate":
      return [
        { label: "certificates", value: String(message.chain.length) },
        { label: "sizes", value: message.chain.map((der) => formatSize(der)) },
      ];
    case "server_key_exchange":
      return listKeyExchange(message);
    case "certificate_request":
      return [
        {
          label: "certificate types",
          value: message.certificateTypes.map(nameClientCertificateType),
        },
        {
          label: "signature algorithms",
          value: message.signatureAlgorithms.map(nameSignatureScheme),
        },
        { label: "authorities", value: String(message.authorities.length) },
      ];
    case "certificate_verify":
      return [
        {
          label: "signature algorithm",
          value: applyName(message.signatureScheme, nameSignatureScheme),
        },
        { label: "signature", value: formatBytes(message.signatureLength) },
      ];
    case "new_session_ticket":
      return [
        { label: "lifetime", value: `${message.lifetime} s` },
        { label: "ticket", value: formatBytes(message.ticketLength) },
      ];
    case "other":
      return [{ label: "body", value: formatBytes(message.length) }];
  }
}

function listClientHello(hello: ClientHello): MaybeField[] {
  const ech = hello.encryptedClientHello;
  return [
    { label: "legacy version", value: nameVersion(hello.legacyVersion) },
    { label: "random", value: hello.random.toHex() },
    { label: "session id", value: hello.sessionId.toHex() },
    { label: "server name", value: hello.serverName },
    { label: "alpn", value: hello.alpn.map(escapeText) },
    {
      label: "supported versions",
      value: hello.supportedVersions.map(nameVersion),
    },
    { label: "cipher suites", value: hello.cipherSuites.map(nameCipherSuite) },
    {
      label: "compression methods",
      value: hello.compressionMethods.map(nameCompressionMethod),
    },
    { label: "groups", value: hello.groups.map(nameGroup) },
    {
      label: "key shares",
      value: hello.keyShares.map(formatKeyShare),
    },
    {
      label: "signature algorithms",
      value: hello.signatureAlgorithms.map(nameSignatureScheme),
    },
    {
      label: "certificate signature algorithms",
      value: hello.signatureAlgorithmsCert.map(nameSignatureScheme),
    },
    {
      label: "delegated credentials",
      value: hello.delegatedCredentialAlgorithms.map(nameSignatureScheme),
    },
    { label: "point formats", value: hello.pointFormats.map(namePointFormat) },
    { label: "psk modes", value: hello.pskModes.map(namePskMode) },
    {
      label: "psk identities",
      value: hello.pskIdentities.map(({ length }) => formatBytes(length)),
    },
    {
      label: "session ticket",
      value: applyName(hello.sessionTicketLength, formatBytes),
    },
    { label: "early data", value: hello.earlyData ? "offered" : undefined },
    {
      label: "encrypted client hello",
      value:
        ech?.kind === "outer"
          ? `outer, ${formatBytes(ech.payloadLength)} sealed, configuration ${ech.configId}`
          : ech?.kind,
    },
    {
      label: "certificate compression",
      value: hello.certificateCompressions.map(nameCertificateCompression),
    },
    {
      label: "application settings",
      value: hello.applicationSettings.map(escapeText),
    },
    { label: "cookie", value: applyName(hello.cookieLength, formatBytes) },
    {
      label: "record size limit",
      value: applyName(hello.recordSizeLimit, formatBytes),
    },
    { label: "padding", value: applyName(hello.paddingLength, formatBytes) },
    {
      label: "extensions",
      value: hello.extensions.map(({ type }) => nameExtension(type)),
    },
  ];
}

function listServerHello(hello: ServerHello): MaybeField[] {
  return [
    { label: "version", value: nameVersion(hello.version) },
    { label: "random", value: hello.random.toHex() },
    { label: "session id", value: hello.sessionId.toHex() },
    { label: "cipher suite", value: nameCipherSuite(hello.cipherSuite) },
    {
      label: "compression method",
      value: nameCompressionMethod(hello.compressionMethod),
    },
    { label: "alpn", value: applyName(hello.alpn, escapeText) },
    hello.helloRetryRequest
      ? { label: "group", value: applyName(hello.keyShare?.group, nameGroup) }
      : { label: "key share", value: applyName(hello.keyShare, formatKeyShare) },
    { label: "psk index", value: applyName(hello.pskIndex, String) },
    { label: "cookie", value: applyName(hello.cookieLength, formatBytes) },
    { label: "downgraded from", value: hello.downgradedFrom },
    {
      label: "extensions",
      value: hello.extensions.map(({ type }) => nameExtension(type)),
    },
  ];
}

function listKeyExchange(message: ServerKeyExchange): MaybeField[] {
  const { exchange } = message;
  const signature = {
    label: "signature algorithm",
    value: applyName(message.signatureScheme, nameSignatureScheme),
  };
  switch (exchange.kind) {
    case "ecdhe":
      return [
        { label: "group", value: nameGroup(exchange.group) },
        { label: "public key", value: formatBytes(exchange.publicLength) },
        signature,
      ];
    case "dhe":
      return [
        { label: "prime", value: `${exchange.primeBits} bits` },
        { label: "public key", value: formatBytes(exchange.publicLength) },
        signature,
      ];
    case "psk":
      return [{ label: "hint", value: formatBytes(exchange.hintLength) }];
    case "other":
      return [];
  }
}

function applyName<T>(value: T | undefined, name: (value: T) => string): string | undefined {
  return value === undefined ? undefined : name(value);
}

function formatKeyShare(share: { group: number; length: number }): string {
  return `${nameGroup(share.group)} (${formatBytes(share.length)})`;
}

function formatBytes(length: number): string {
  return length === 1 ? "1 byte" : `${length} bytes`;
}

function formatSize(bytes: Uint8Array): string {
  return formatBytes(bytes.length);
}

/** A peer chooses these bytes: they must not reach a terminal as they are. */
function escapeText(text: string): string {
  return text.replace(/[^!-~]|\\/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
