import type { DescribedMessage, MessageField } from "./describe-message.ts";
import { nameExtension, nameGroup, nameHandshakeType, nameSignatureScheme } from "../read/iana.ts";
import { TLS13_TYPE, type Tls13Message } from "./tls13-message.ts";

/** Describes a message that was encrypted, as `describeMessage` does those in clear. Chains are left to `explainChain`. */
export function describeTls13Message(message: Tls13Message): DescribedMessage {
  return {
    name: nameHandshakeType(numberOf(message)).replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    fields: listFields(message).filter(({ value }) => value.length > 0),
  };
}

function numberOf(message: Tls13Message): number {
  switch (message.type) {
    case "encrypted_extensions":
      return TLS13_TYPE.encryptedExtensions;
    case "certificate":
      return TLS13_TYPE.certificate;
    case "certificate_request":
      return TLS13_TYPE.certificateRequest;
    case "certificate_verify":
      return TLS13_TYPE.certificateVerify;
    case "new_session_ticket":
      return TLS13_TYPE.newSessionTicket;
    case "finished":
      return TLS13_TYPE.finished;
    case "key_update":
      return TLS13_TYPE.keyUpdate;
    case "other":
      return message.handshakeType;
  }
}

function listFields(message: Tls13Message): MessageField[] {
  switch (message.type) {
    case "encrypted_extensions":
      return [
        { label: "alpn", value: message.alpn === undefined ? "" : escapeText(message.alpn) },
        { label: "server name", value: message.serverName ? "acknowledged" : "" },
        { label: "groups", value: message.groups.map(nameGroup) },
        { label: "early data", value: message.earlyData ? "accepted" : "" },
        { label: "record size limit", value: formatOptional(message.recordSizeLimit) },
        { label: "extensions", value: nameExtensions(message.extensions) },
      ];
    case "certificate":
      return [
        { label: "certificates", value: String(message.chain.length) },
        { label: "sizes", value: message.chain.map(({ length }) => formatBytes(length)) },
        { label: "extensions", value: nameExtensions(message.extensions) },
      ];
    case "certificate_request":
      return [
        { label: "signature algorithms", value: message.signatureAlgorithms.map(nameSignatureScheme) },
        { label: "extensions", value: nameExtensions(message.extensions) },
      ];
    case "certificate_verify":
      return [
        {
          label: "signature algorithm",
          value: message.signatureScheme === undefined ? "" : nameSignatureScheme(message.signatureScheme),
        },
        { label: "signature", value: formatBytes(message.signatureLength) },
      ];
    case "new_session_ticket":
      return [
        { label: "lifetime", value: `${message.lifetime} s` },
        { label: "ticket", value: formatBytes(message.ticketLength) },
        { label: "early data", value: formatOptional(message.maxEarlyData) },
      ];
    case "finished":
      return [{ label: "verify data", value: formatBytes(message.length) }];
    case "key_update":
      return [{ label: "update", value: message.requested ? "requested in return" : "not requested in return" }];
    case "other":
      return [{ label: "body", value: formatBytes(message.length) }];
  }
}

function nameExtensions(extensions: readonly { readonly type: number }[]): string[] {
  return extensions.map(({ type }) => nameExtension(type));
}

function formatOptional(length: number | undefined): string {
  return length === undefined ? "" : formatBytes(length);
}

function formatBytes(length: number): string {
  return length === 1 ? "1 byte" : `${length} bytes`;
}

/** A server chooses these bytes: they must not reach a terminal as they are. */
function escapeText(text: string): string {
  return text.replace(/[^!-~]|\\/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
