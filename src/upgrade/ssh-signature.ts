import { type Ed25519Key, sameKey, verifyEd25519 } from "./ed25519.ts";
import type { Verified } from "./minisign.ts";

/** A public key of OpenSSH. */
export interface SshKey {
  readonly kind: "ssh";
  /** Its fingerprint, as `ssh-keygen -l` prints it. */
  readonly name: string;
  readonly key: Ed25519Key;
}

const TYPE = "ssh-ed25519";
/** What `ssh-keygen -Y sign -n` names for files. A signature for another purpose, as of a commit, does not count. */
const NAMESPACE = "file";
const MAGIC = "SSHSIG";
const HASHES: ReadonlySet<string> = new Set(["sha256", "sha512"]);
const BEGIN = "-----BEGIN SSH SIGNATURE-----";
const END = "-----END SSH SIGNATURE-----";

/** Reads the base64 text of a public key, which follows its type in a line. */
export function readSshKey(text: string): SshKey | undefined {
  const bytes = Buffer.from(text, "base64");
  const key = readKeyBlob(bytes);
  if (key === undefined) return undefined;
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("base64");
  return { kind: "ssh", name: `SHA256:${digest.replace(/=+$/, "")}`, key };
}

export function isSshSignature(text: string): boolean {
  return text.startsWith(BEGIN);
}

/** Verifies what `ssh-keygen -Y sign -n file` writes (PROTOCOL.sshsig of OpenSSH). */
export function verifySsh(text: string, content: Uint8Array, keys: readonly SshKey[]): Verified {
  const armoured = text.trim();
  if (!isSshSignature(armoured) || !armoured.endsWith(END)) return bad("is not a signature of ssh-keygen");
  const reader = new BlobReader(Buffer.from(armoured.slice(BEGIN.length, -END.length), "base64"));
  if (reader.take(MAGIC.length)?.toString("latin1") !== MAGIC || reader.number() !== 1)
    return bad("is not a signature of ssh-keygen of version 1");
  const [blob, namespace, reserved, hash, signature] = [0, 1, 2, 3, 4].map(() => reader.string());
  if (blob === undefined || namespace === undefined || reserved === undefined || !hash || !signature || !reader.isAtEnd)
    return bad("is not a signature of ssh-keygen: it was cut or added to");
  const key = readKeyBlob(blob);
  if (key === undefined) return bad(`is not by a key of the type ${TYPE}`);
  if (namespace.toString() !== NAMESPACE)
    return bad(
      `is for the namespace ${JSON.stringify(namespace.toString())}. Sign with: ssh-keygen -Y sign -n ${NAMESPACE}`,
    );
  const hashName = hash.toString();
  if (!HASHES.has(hashName)) return bad("is over a hash that is neither sha256 nor sha512");
  const signer = keys.find((each) => sameKey(each.key, key));
  if (signer === undefined) return bad("is by a key that is not among the trusted ones");
  const inner = new BlobReader(signature);
  const isOurs = inner.string()?.toString() === TYPE;
  const own = inner.string();
  if (!isOurs || own === undefined || !inner.isAtEnd) return bad(`is not of the type ${TYPE}`);
  const digest = new Bun.CryptoHasher(hashName === "sha256" ? "sha256" : "sha512").update(content).digest();
  const signed = Buffer.concat([Buffer.from(MAGIC), ...[namespace, reserved, hash, digest].map(writeString)]);
  if (!verifyEd25519(signer.key, signed, own)) return bad("does not belong to these bytes");
  return { ok: true, signer: `ssh key ${signer.name}`, comment: "" };
}

function bad(reason: string): Verified {
  return { ok: false, reason };
}

function readKeyBlob(bytes: Buffer): Ed25519Key | undefined {
  const reader = new BlobReader(bytes);
  if (reader.string()?.toString() !== TYPE) return undefined;
  const key = reader.string();
  return key?.length === 32 && reader.isAtEnd ? key : undefined;
}

function writeString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Reads the numbers and strings of SSH (RFC 4251 §5); undefined where there are not enough bytes. */
class BlobReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer | undefined {
    if (length > this.#bytes.length - this.#at) return undefined;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(): number | undefined {
    return this.take(4)?.readUInt32BE();
  }

  string(): Buffer | undefined {
    const length = this.number();
    return length === undefined ? undefined : this.take(length);
  }
}
