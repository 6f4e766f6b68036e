import { readUrl } from "./answers.ts";
import { type AccountKey, bindExternally, makeAccountKey, openAccountKey } from "./jws.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";
import type { AcmeSession, Answer } from "./session.ts";

/** An account as it is kept in a file. */
export interface KeptAccount {
  /** Private. */
  readonly key: object;
  /** Its URL; absent until the server has told it. */
  readonly url?: string | undefined;
  /** The address that the server was told. */
  readonly email?: string | undefined;
}

export interface AccountPlan {
  readonly email: string | undefined;
  /** Binds the account to one elsewhere (RFC 8555 §7.3.4). `secret` is base64url. */
  readonly eab: { readonly kid: string; readonly secret: string } | undefined;
}

/** Keeps the account: before its key is used, and once more when the server has named it. */
export interface AccountFile {
  read(): Promise<KeptAccount | undefined>;
  write(account: KeptAccount): Promise<void>;
}

/** Sends signed requests as an account. */
export interface OpenAccount {
  readonly key: AccountKey;
  readonly kid: string;
}

/** Opens the account that is kept, or makes one. Having the configuration written agrees to the terms of the authority. */
export async function openAccount(
  session: AcmeSession,
  plan: AccountPlan,
  file: AccountFile,
): Promise<AcmeResult<OpenAccount>> {
  let kept = await file.read();
  let key = kept && (await openAccountKey(kept.key));
  if (kept === undefined || key === undefined) {
    const fresh = await makeAccountKey();
    key = await openAccountKey(fresh);
    if (key === undefined) throw new Error("A key that was just made cannot be opened");
    kept = { key: fresh };
    // A key that the server knows and nobody else is an account that is lost.
    await file.write(kept);
  }
  const known = kept.url === undefined ? undefined : readUrl(kept.url, "the account", session.url);
  if (known?.ok === true) {
    if (kept.email === plan.email) return succeed({ key, kid: known.value });
    const changed = await session.post(known.value, { contact: listContacts(plan.email) }, { key, kid: known.value });
    if (changed.ok) {
      await file.write({ ...kept, email: plan.email });
      return succeed({ key, kid: known.value });
    }
    if (changed.fault.type !== "accountDoesNotExist") return changed;
  }
  return register(session, plan, { file, kept, key });
}

/** Makes the account of the same key again, after the server has said that it knows none. */
export async function renewAccount(
  session: AcmeSession,
  plan: AccountPlan,
  file: AccountFile,
): Promise<AcmeResult<OpenAccount>> {
  const kept = await file.read();
  if (kept !== undefined) await file.write({ key: kept.key });
  return openAccount(session, plan, file);
}

async function register(
  session: AcmeSession,
  { email, eab }: AccountPlan,
  { file, kept, key }: { readonly file: AccountFile; readonly kept: KeptAccount; readonly key: AccountKey },
): Promise<AcmeResult<OpenAccount>> {
  const url = session.directory.newAccount;
  if (eab === undefined && session.directory.needsBinding)
    return failAcme('the server gives accounts only to those who have one elsewhere: set "eab"');
  const payload = {
    termsOfServiceAgreed: true,
    contact: listContacts(email),
    ...(eab && { externalAccountBinding: bindExternally(eab, key.jwk, url) }),
  };
  const answer = await session.post(url, payload, { key });
  if (!answer.ok) return answer;
  const location = readLocation(answer.value, "the account", session.url);
  if (!location.ok) return location;
  await file.write({ key: kept.key, url: location.value, email });
  return succeed({ key, kid: location.value });
}

/** The URL of what was just made. */
export function readLocation({ location }: Answer, what: string, base: string): AcmeResult<string> {
  return readUrl(location, what, base);
}

function listContacts(email: string | undefined): string[] {
  return email === undefined ? [] : [`mailto:${email}`];
}
