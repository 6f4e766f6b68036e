import { describe, expect, test } from "bun:test";
import {
  isGrease,
  isGreaseByte,
  nameAlert,
  nameAlertLevel,
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
} from "../../../../../src/protocol/tls/read/iana.ts";

describe("the names of numbers", () => {
  test.each([
    [nameCipherSuite, 0x1301, "TLS_AES_128_GCM_SHA256"],
    [nameCipherSuite, 0x0000, "TLS_NULL_WITH_NULL_NULL"],
    [nameCipherSuite, 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
    [nameCipherSuite, 0x00ff, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"],
    [nameCipherSuite, 0x4a4a, "GREASE (0x4a4a)"],
    [nameCipherSuite, 0x1234, "0x1234"],
    [nameGroup, 29, "x25519"],
    [nameGroup, 4588, "X25519MLKEM768"],
    [nameGroup, 3, "sect163r2"],
    [nameSignatureScheme, 0x0804, "rsa_pss_rsae_sha256"],
    [nameSignatureScheme, 0x0402, "dsa_sha256"],
    [nameSignatureScheme, 0x0101, "rsa_md5"],
    [nameSignatureScheme, 0x0905, "mldsa65"],
    [nameSignatureScheme, 0xdada, "GREASE (0xdada)"],
    [nameExtension, 16, "application_layer_protocol_negotiation"],
    [nameExtension, 0xfe0d, "encrypted_client_hello"],
    [nameExtension, 13172, "next_protocol_negotiation"],
    [nameExtension, 0x9999, "0x9999"],
    [nameAlert, 112, "unrecognized_name"],
    [nameAlert, 250, "0xfa"],
    [nameAlertLevel, 1, "warning"],
    [nameAlertLevel, 2, "fatal"],
    [nameAlertLevel, 3, "0x03"],
    [nameHandshakeType, 14, "server_hello_done"],
    [nameVersion, 0x0304, "TLS 1.3"],
    [nameVersion, 0x0300, "SSL 3.0"],
    [nameVersion, 0x7f1c, "TLS 1.3 draft 28"],
    [nameVersion, 0x0a0a, "GREASE (0x0a0a)"],
    [nameCompressionMethod, 0, "null"],
    [nameCertificateCompression, 2, "brotli"],
    [nameClientCertificateType, 64, "ecdsa_sign"],
    [namePskMode, 1, "psk_dhe_ke"],
    [namePskMode, 0x2a, "GREASE (0x2a)"],
    [namePointFormat, 0, "uncompressed"],
  ])("%p(%d) is %s", (name, code, expected) => {
    expect(name(code)).toBe(expected);
  });
});

describe("isGrease()", () => {
  test("knows the sixteen numbers of RFC 8701", () => {
    const all = Array.from({ length: 65_536 }, (_, code) => code).filter(isGrease);
    expect(all).toEqual(Array.from({ length: 16 }, (_, nibble) => nibble * 0x1010 + 0x0a0a));
  });
});

describe("isGreaseByte()", () => {
  test("knows the eight numbers of RFC 8701", () => {
    const all = Array.from({ length: 256 }, (_, code) => code).filter(isGreaseByte);
    expect(all).toEqual([0x0b, 0x2a, 0x49, 0x68, 0x87, 0xa6, 0xc5, 0xe4]);
  });
});
