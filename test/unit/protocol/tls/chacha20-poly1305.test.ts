import { describe, expect, test } from "bun:test";
import { openChaCha20Poly1305 } from "../../../../src/protocol/tls/chacha20-poly1305.ts";

/** RFC 8439 §2.8.2. */
const key = Uint8Array.from({ length: 32 }, (_, index) => 0x80 + index);
const nonce = Uint8Array.fromHex("070000004041424344454647");
const additional = Uint8Array.fromHex("50515253c0c1c2c3c4c5c6c7");
const sealed = Uint8Array.fromHex(
  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b" +
    "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
    "3ff4def08e4b7a9de576d26586cec64b6116" +
    "1ae10b594f09e26a7e902ecbd0600691",
);

describe("openChaCha20Poly1305()", () => {
  test("opens the example of the RFC", () => {
    const text = openChaCha20Poly1305(key, nonce, additional, sealed);
    expect(Buffer.from(text ?? []).toString()).toBe(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
  });

  test.each([
    ["another key", key.with(0, 0), nonce, additional, sealed],
    ["another nonce", key, nonce.with(11, 0), additional, sealed],
    ["other additional data", key, nonce, additional.subarray(1), sealed],
    ["a changed byte", key, nonce, additional, sealed.with(5, 0)],
    ["a changed tag", key, nonce, additional, sealed.with(sealed.length - 1, 0)],
    ["less than a tag", key, nonce, additional, sealed.subarray(0, 15)],
  ])("opens nothing with %s", (_, ...[otherKey, otherNonce, otherAdditional, otherSealed]) => {
    expect(openChaCha20Poly1305(otherKey, otherNonce, otherAdditional, otherSealed)).toBeUndefined();
  });

  /** Sealed by Node.js with OpenSSL, with the same key and nonce and no additional data. */
  test.each([
    [0, "a0784d7a4716f3feb4f64e7f4b39bf04"],
    [
      200,
      "987cee5a06fa47bd12e588fc31860da9c6c78f380e0669d9da8dd780528504a24999cc3fab89592cbfddb508fddc55ef" +
        "7203b569b96e6a4867a382c816bf1c5efbb6c358451ee9abeb6dd9c449616e7f89dc46c39ba406e620e7abac3c43bec8" +
        "5b81bc92e76c0af5971db142e3ace125123f0b04c9326bd0a17164fcdae8f86372f378517e99cac4586b215856447724" +
        "c78e13411cdfe75df210d2a93ea1fdb3804a75f7debd3ecc785f63fcfcdc7e7f51a6591c3a14ce0d6dad6184d00e81b1" +
        "8475cd14fe14256be96fd1710195b1ebf24e01f2baefad12",
    ],
  ])("opens %d bytes of OpenSSL", (length, hex) => {
    const text = openChaCha20Poly1305(key, nonce, new Uint8Array(0), Uint8Array.fromHex(hex));
    expect(text).toEqual(new Uint8Array(length).fill(7));
  });
});
