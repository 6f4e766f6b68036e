import type { ClientHello } from "../../src/protocol/tls/read/client-hello.ts";
import { type HandshakeMessage, numberOfMessage } from "../../src/protocol/tls/read/handshake-message.ts";
import { computeJa3 } from "../../src/protocol/tls/read/ja3.ts";
import type { ServerHello } from "../../src/protocol/tls/read/server-hello.ts";

/** What tshark's JSON consists of. */
export type Json = string | null | readonly Json[] | { readonly [key: string]: Json };

/** All values of `key` anywhere inside, in order. */
export function collect(json: Json | undefined, key: string): Json[] {
  if (json === undefined || json === null || typeof json === "string") return [];
  if (Array.isArray(json)) return json.flatMap((each: Json) => collect(each, key));
  return Object.entries(json).flatMap(([name, value]: [string, Json]) => {
    if (name !== key) return collect(value, key);
    return Array.isArray(value) ? value : [value];
  });
}

export function numbers(json: Json, key: string): number[] {
  return collect(json, key).map(Number);
}

function texts(json: Json, key: string): string[] {
  return collect(json, key).map(String);
}

function hex(json: Json, key: string): string {
  return texts(json, key).join("").replaceAll(":", "");
}

/** The same things of a message, once as tshark tells them and once as we do. */
export type Facts = Readonly<Record<string, unknown>>;

export function factsOfTshark(message: Json): Facts {
  const type = numbers(message, "tls.handshake.type")[0] ?? -1;
  switch (type) {
    case 1:
      return {
        type,
        version: numbers(message, "tls.handshake.version"),
        random: hex(message, "tls.handshake.random"),
        sessionId: hex(message, "tls.handshake.session_id"),
        cipherSuites: numbers(message, "tls.handshake.ciphersuite"),
        compressionMethods: numbers(message, "tls.handshake.comp_method"),
        extensions: numbers(message, "tls.handshake.extension.type"),
        extensionLengths: numbers(message, "tls.handshake.extension.len"),
        serverName: texts(message, "tls.handshake.extensions_server_name"),
        alpn: texts(message, "tls.handshake.extensions_alpn_str"),
        supportedVersions: numbers(message, "tls.handshake.extensions.supported_version"),
        groups: numbers(message, "tls.handshake.extensions_supported_group"),
        pointFormats: numbers(message, "tls.handshake.extensions_ec_point_format"),
        signatureAlgorithms: numbers(message, "tls.handshake.sig_hash_alg"),
        shareGroups: numbers(message, "tls.handshake.extensions_key_share_group"),
        shareLengths: numbers(message, "tls.handshake.extensions_key_share_key_exchange_length"),
        pskModes: numbers(message, "tls.extension.psk_ke_mode"),
        identities: numbers(message, "tls.handshake.extensions.psk.identity.identity_length"),
        ages: numbers(message, "tls.handshake.extensions.psk.identity.obfuscated_ticket_age"),
        certificateCompressions: numbers(message, "tls.compress_certificate.algorithm"),
        recordSizeLimit: numbers(message, "tls.record_size_limit"),
        ja3: texts(message, "tls.handshake.ja3_full"),
        ja3Hash: texts(message, "tls.handshake.ja3"),
      };
    case 2:
      return {
        type,
        version: numbers(message, "tls.handshake.version"),
        random: hex(message, "tls.handshake.random"),
        sessionId: hex(message, "tls.handshake.session_id"),
        cipherSuite: numbers(message, "tls.handshake.ciphersuite"),
        compressionMethod: numbers(message, "tls.handshake.comp_method"),
        extensions: numbers(message, "tls.handshake.extension.type"),
        supportedVersion: numbers(message, "tls.handshake.extensions.supported_version"),
        alpn: texts(message, "tls.handshake.extensions_alpn_str"),
        shareGroup: [
          ...numbers(message, "tls.handshake.extensions_key_share_group"),
          ...numbers(message, "tls.handshake.extensions_key_share_selected_group"),
        ],
        pskIndex: numbers(message, "tls.handshake.extensions.psk.identity.selected"),
      };
    case 4:
      return {
        type,
        lifetime: numbers(message, "tls.handshake.session_ticket_lifetime_hint"),
        ticketLength: numbers(message, "tls.handshake.session_ticket_length"),
      };
    case 11:
      return { type, chain: texts(message, "tls.handshake.certificate").map((der) => der.replaceAll(":", "")) };
    case 12:
      return {
        type,
        group: numbers(message, "tls.handshake.server_named_curve"),
        primeBytes: numbers(message, "tls.handshake.p_len"),
        publicLength: [
          ...numbers(message, "tls.handshake.server_point_len"),
          ...numbers(message, "tls.handshake.ys_len"),
        ],
        signatureScheme: numbers(message, "tls.handshake.sig_hash_alg"),
      };
    case 13:
      return {
        type,
        certificateTypes: numbers(message, "tls.handshake.cert_type"),
        signatureAlgorithms: numbers(message, "tls.handshake.sig_hash_alg"),
        authorities: numbers(message, "tls.handshake.dname_len").length,
      };
    case 15:
      return {
        type,
        signatureScheme: numbers(message, "tls.handshake.sig_hash_alg"),
        signatureLength: numbers(message, "tls.handshake.client_cert_vrfy.sig_len"),
      };
    default:
      return { type };
  }
}

function factsOfClientHello(hello: ClientHello): Facts {
  const ja3 = computeJa3(hello);
  return {
    version: [hello.legacyVersion],
    random: hello.random.toHex(),
    sessionId: hello.sessionId.toHex(),
    cipherSuites: hello.cipherSuites,
    compressionMethods: hello.compressionMethods,
    extensions: hello.extensions.map(({ type }) => type),
    extensionLengths: hello.extensions.map(({ length }) => length),
    serverName: hello.serverName === undefined ? [] : [hello.serverName],
    alpn: hello.alpn,
    supportedVersions: hello.supportedVersions,
    groups: hello.groups,
    pointFormats: hello.pointFormats,
    // tshark gives both lists the same name; the certificates' comes later on the wire.
    signatureAlgorithms: [...hello.signatureAlgorithms, ...hello.signatureAlgorithmsCert],
    shareGroups: hello.keyShares.map(({ group }) => group),
    shareLengths: hello.keyShares.map(({ length }) => length),
    pskModes: hello.pskModes,
    identities: hello.pskIdentities.map(({ length }) => length),
    ages: hello.pskIdentities.map(({ obfuscatedTicketAge }) => obfuscatedTicketAge),
    certificateCompressions: hello.certificateCompressions,
    recordSizeLimit: listDefined(hello.recordSizeLimit),
    ja3: [ja3.text],
    ja3Hash: [ja3.hash],
  };
}

function factsOfServerHello(hello: ServerHello): Facts {
  return {
    version: [hello.legacyVersion],
    random: hello.random.toHex(),
    sessionId: hello.sessionId.toHex(),
    cipherSuite: [hello.cipherSuite],
    compressionMethod: [hello.compressionMethod],
    extensions: hello.extensions.map(({ type }) => type),
    supportedVersion: hello.version === hello.legacyVersion ? [] : [hello.version],
    alpn: hello.alpn === undefined ? [] : [hello.alpn],
    shareGroup: hello.keyShare === undefined ? [] : [hello.keyShare.group],
    pskIndex: hello.pskIndex === undefined ? [] : [hello.pskIndex],
  };
}

function listDefined(value: number | undefined): number[] {
  return value === undefined ? [] : [value];
}

export function factsOfOurs(message: HandshakeMessage): Facts {
  const type = numberOfMessage(message);
  switch (message.type) {
    case "client_hello":
      return { type, ...factsOfClientHello(message) };
    case "server_hello":
      return { type, ...factsOfServerHello(message) };
    case "new_session_ticket":
      return { type, lifetime: [message.lifetime], ticketLength: [message.ticketLength] };
    case "certificate":
      return { type, chain: message.chain.map((der) => der.toHex()) };
    case "server_key_exchange": {
      const { exchange } = message;
      return {
        type,
        group: exchange.kind === "ecdhe" ? [exchange.group] : [],
        primeBytes: exchange.kind === "dhe" ? [exchange.primeBits / 8] : [],
        publicLength: "publicLength" in exchange ? [exchange.publicLength] : [],
        signatureScheme: listDefined(message.signatureScheme),
      };
    }
    case "certificate_request":
      return {
        type,
        certificateTypes: message.certificateTypes,
        signatureAlgorithms: message.signatureAlgorithms,
        authorities: message.authorities.length,
      };
    case "certificate_verify":
      return {
        type,
        signatureScheme: listDefined(message.signatureScheme),
        signatureLength: [message.signatureLength],
      };
    case "other":
      return { type };
  }
}
