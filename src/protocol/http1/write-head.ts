import type { Field } from "./fields.ts";
import { isFieldText, isToken } from "./octets.ts";

/** A request to write. The version is always 1.1: a proxy speaks its own (RFC 9110 §2.5). */
export interface RequestHeadToWrite {
  readonly method: string;
  readonly target: string;
  readonly fields: Iterable<Field>;
}

/** A response to write, in version 1.1 whatever the client's (RFC 9110 §6.2). */
export interface ResponseHeadToWrite {
  readonly status: number;
  readonly reason: string;
  readonly fields: Iterable<Field>;
}

/**
 * Writes a request head, the empty line included. Throws when a part could not be
 * read back as what it is, such as a CR or LF in a value: whoever made it has a bug.
 */
export function writeRequestHead(head: RequestHeadToWrite): Uint8Array {
  if (!isToken(head.method))
    throw new TypeError(`Cannot write a request: method ${quote(head.method)} is not a token.`);
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(head.target)) {
    throw new TypeError(`Cannot write a request: target ${quote(head.target)} has a space or a control character.`);
  }
  return encodeLatin1(`${head.method} ${head.target} HTTP/1.1\r\n${formatFields(head.fields)}\r\n`);
}

/** Writes a response head, the empty line included. Throws as `writeRequestHead` does. */
export function writeResponseHead(head: ResponseHeadToWrite): Uint8Array {
  if (!Number.isInteger(head.status) || head.status < 100 || head.status > 999) {
    throw new RangeError(`Cannot write a response: status ${head.status} is not between 100 and 999.`);
  }
  if (!isFieldText(head.reason)) {
    throw new TypeError(`Cannot write a response: reason ${quote(head.reason)} has a control character.`);
  }
  return encodeLatin1(`HTTP/1.1 ${head.status} ${head.reason}\r\n${formatFields(head.fields)}\r\n`);
}

/** Writes field lines, each with its CRLF, without the empty line. Throws as `writeRequestHead` does. */
export function formatFields(fields: Iterable<Field>): string {
  let text = "";
  for (const { name, value } of fields) {
    if (!isToken(name)) throw new TypeError(`Cannot write a field: name ${quote(name)} is not a token.`);
    // The value may be a secret, so that the message must not repeat it.
    if (!isFieldText(value))
      throw new TypeError(`Cannot write field ${quote(name)}: its value has a control character.`);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** Writes latin1 text as octets, one a character. */
export function encodeLatin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
