import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CertificateExpiry, type ExpiryNotice, type UsedCertificate } from "../../src/certificate-expiry.ts";

const DAY = 24 * 60 * 60 * 1000;
const END = Date.UTC(2027, 0, 10, 12);

let now: number;
let certificates: UsedCertificate[];
let told: string[];
let notices: ExpiryNotice[];
let expiry: CertificateExpiry;

beforeEach(() => {
  now = END - 60 * DAY;
  certificates = [{ use: "listener", name: "127.0.0.1:8443", file: "cert.pem", expiresAt: END }];
  told = [];
  notices = [];
  expiry = new CertificateExpiry({
    list: () => certificates,
    tell: (message, level) => void told.push(`${level}: ${message}`),
    publish: (notice) => void notices.push(notice),
    now: () => now,
  });
});

afterEach(() => expiry.close());

/** Looks every hour from `from` days before the end to `to` days before it. */
function follow(from: number, to: number): number[] {
  notices = [];
  for (now = END - from * DAY; now <= END - to * DAY; now += DAY / 24) expiry.look();
  return notices.map(({ days }) => days);
}

describe("CertificateExpiry", () => {
  test("tells 30, 14, 7, 3 and 1 days before the end, at the end, and each day after it", () => {
    expect(follow(60, 30)).toEqual([]);
    expect(follow(30, 0.01)).toEqual([29, 13, 6, 2, 0]);
    expect(follow(0, -2.5)).toEqual([0, -1, -2]);
  });

  test("says in how many days, of what, and what to do", () => {
    now = END - 29.5 * DAY;
    expiry.look();
    now = END - DAY;
    expiry.look();
    now = END - 1;
    expiry.look();
    now = END;
    expiry.look();
    expect(told).toEqual([
      'warn: The certificate "cert.pem" of listener 127.0.0.1:8443 expires in 29 days, on 2027-01-10. Renew it.',
      'warn: The certificate "cert.pem" of listener 127.0.0.1:8443 expires in 1 day, on 2027-01-10. Renew it.',
      'warn: The certificate "cert.pem" of listener 127.0.0.1:8443 expires in less than a day, on 2027-01-10. Renew it.',
      'error: The certificate "cert.pem" of listener 127.0.0.1:8443 expired on 2027-01-10. Renew it.',
    ]);
    expect(notices.at(-1)).toEqual({
      use: "listener",
      name: "127.0.0.1:8443",
      file: "cert.pem",
      expires: "2027-01-10T12:00:00.000Z",
      days: 0,
      expired: true,
    });
  });

  test("sends nobody to renew what the proxy renews", () => {
    certificates = certificates.map((each) => ({ ...each, renewedFrom: END - 60 * DAY }));
    now = END - 9 * DAY;
    expiry.look();
    now = END;
    expiry.look();
    expect(told).toEqual([
      'warn: The certificate "cert.pem" of listener 127.0.0.1:8443 expires in 9 days, on 2027-01-10. The messages of its orders say why it is not renewed.',
      'error: The certificate "cert.pem" of listener 127.0.0.1:8443 expired on 2027-01-10. The messages of its orders say why it is not renewed.',
    ]);
  });

  test("tells at once of one that is near its end already, and never twice", () => {
    now = END - 5 * DAY;
    for (let look = 0; look < 3; look += 1) expiry.look();
    expect(notices.map(({ days }) => days)).toEqual([5]);
  });

  test("goes on with a certificate that was renewed, and with one for an upstream", () => {
    now = END - 5 * DAY;
    expiry.look();
    certificates = [{ use: "listener", name: "127.0.0.1:8443", file: "cert.pem", expiresAt: END + 90 * DAY }];
    expiry.look();
    certificates = [{ use: "upstream", name: "corp", file: undefined, expiresAt: END }];
    expiry.look();
    expect(told.slice(1)).toEqual([
      "warn: The client certificate for upstream corp expires in 5 days, on 2027-01-10. Renew it.",
    ]);
  });
});
