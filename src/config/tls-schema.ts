import type * as z from "zod";

import { acmeSchema } from "./acme-schema.ts";
import { either, list, pemPath, pemPaths, settings, word } from "./fields.ts";
import { checked, type FindConflicts } from "./parts.ts";

/** A certificate and its key. */
export const pair = {
  cert: pemPath("fullchain.pem").describe(
    "PEM file with the certificate and those between it and its root, such as `fullchain.pem`. `penstock check` warns when the issuer is missing.",
  ),
  key: pemPath("privkey.pem").describe(
    "PEM file with the private key of `cert`, such as `privkey.pem`; without a passphrase.",
  ),
};

const more = {
  certificates: list(settings(pair, "a map with cert and key"), "a list of maps with cert and key")
    .describe(
      "More certificates. A client gets the one for the name that it asks for (SNI), and the one of `cert` or `acme` when it asks for none or for another.",
    )
    .optional(),
  clientCa: pemPaths()
    .describe(
      "PEM file, or files, with the authorities that sign certificates of clients. The proxy then asks clients for one. The first e-mail address, DNS name or URI in it, or else its common name, is the user. A name that is longer than 255 bytes or has control characters is refused. The proxy checks dates and authority in every handshake and for every request.",
    )
    .optional(),
  clientCertificate: word(["required", "optional"])
    .describe(
      "Whether a client without a certificate is refused, when `clientCa` is set. One that does not verify is refused either way. Default: `required`.",
    )
    .optional(),
};

const withFiles = settings({ ...pair, ...more }, "a map with cert and key");
const withAcme = settings({ acme: acmeSchema, ...more }, "a map with acme");

type MoreSettings = Pick<z.output<typeof withFiles>, "clientCa" | "clientCertificate">;

const findConflicts: FindConflicts<MoreSettings> = ({ clientCa, clientCertificate }) =>
  clientCertificate === undefined || clientCa !== undefined
    ? []
    : [
        {
          path: ["clientCertificate"],
          message: 'Found no authority to ask clients about. Set "clientCa" too.',
        },
      ];

/** TLS of a listener. */
export const tlsSchema = either(
  "a map with cert and key, or with acme",
  [checked(withAcme, findConflicts), checked(withFiles, findConflicts)],
  undefined,
  ["acme", undefined],
).describe(
  "Makes the listener speak TLS 1.2 and 1.3, so that clients use it as an `https://` proxy: with a certificate from files, which are read again when they change, or with one that an authority issues (`acme`).",
);

export type TlsSettings = z.output<typeof tlsSchema>;
