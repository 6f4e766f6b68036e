/** The secrets of one connection, by the label of the NSS key log format. */
export type TlsSecrets = ReadonlyMap<string, Uint8Array>;

/**
 * Finds the secrets of the connection whose ClientHello has `clientRandom`
 * among lines in the NSS key log format
 * (https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-04.html): a label,
 * the random and the secret in hexadecimal. Other lines are passed over.
 */
export function findSecrets(keyLog: string, clientRandom: Uint8Array): TlsSecrets {
  const wanted = clientRandom.toHex();
  const secrets = new Map<string, Uint8Array>();
  for (const line of keyLog.split("\n")) {
    const [, label = "", random = "", secret = ""] = LINE.exec(line.trimEnd()) ?? [];
    if (random.toLowerCase() === wanted) secrets.set(label, Uint8Array.fromHex(secret));
  }
  return secrets;
}

const LINE = /^([A-Z0-9_]+) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2})+)$/;
