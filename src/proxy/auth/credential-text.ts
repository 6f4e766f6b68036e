/** Bytes of UTF-8 that a user name may have: what SOCKS5 can carry (RFC 1929 §2). */
const MAX_USER_BYTES = 255;

// NUL ends a bcrypt password early, and control characters have no business in a log.
const CONTROL = /\p{Cc}/u;

/**
 * Whether a text can be a user name: 1 to 255 bytes of UTF-8, no control
 * characters (RFC 7617 §2), no colon, since Basic could not carry it.
 */
export function isUserName(text: string): boolean {
  return text !== "" && !text.includes(":") && !CONTROL.test(text) && Buffer.byteLength(text) <= MAX_USER_BYTES;
}

/** Whether a text can be a password: no control characters (RFC 7617 §2). It may be empty. */
export function isPassword(text: string): boolean {
  return !CONTROL.test(text);
}
