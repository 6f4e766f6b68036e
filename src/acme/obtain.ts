import {
  type AccountFile,
  type AccountPlan,
  type OpenAccount,
  openAccount,
  readLocation,
  renewAccount,
} from "./account.ts";
import {
  type Authorization,
  type Challenge,
  type Order,
  quoteServer,
  readAuthorization,
  readOrder,
} from "./answers.ts";
import { checkChain, type CheckedChain } from "./check-chain.ts";
import { loadCertificates } from "./load-certificates.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";
import type { AcmeSession } from "./session.ts";
import type { Proof, Solver } from "./solver.ts";

/** What is ordered. */
export interface OrderPlan extends AccountPlan {
  /** Lower case; `*.` in front of one is a wildcard. */
  readonly names: readonly string[];
  /** The kind of certificate, where the server offers several. */
  readonly profile: string | undefined;
}

export interface ObtainParts {
  readonly session: AcmeSession;
  readonly account: AccountFile;
  readonly solver: Solver;
  /** Identifies the certificate that the new one replaces (RFC 9773 §5). */
  readonly replaces: string | undefined;
}

/** A certificate with its key. */
export interface Obtained extends CheckedChain {
  /** PEM. */
  readonly key: string;
}

/** Milliseconds until the authority has looked at a name, and until it has made the certificate. */
const LOOK_MS = 180_000;
const MAKE_MS = 180_000;
/** The same for a further name of an order that is lost: the authority looks at all of them at once. */
const OTHERS_MS = 2000;

/** Orders a certificate (RFC 8555 §7.4): shows control of each name, sends the request, takes the certificate and checks it. */
export async function obtainCertificate(plan: OrderPlan, parts: ObtainParts): Promise<AcmeResult<Obtained>> {
  const { session, account: file } = parts;
  const { profiles } = session.directory;
  if (plan.profile !== undefined && !profiles.includes(plan.profile)) {
    const offered = profiles.length === 0 ? "no profiles" : quoteServer(`only ${profiles.join(", ")}`);
    return failAcme(`the server does not offer the profile ${JSON.stringify(plan.profile)}: it has ${offered}`);
  }
  const opened = await openAccount(session, plan, file);
  if (!opened.ok) return opened;
  const first = await orderAs(opened.value, plan, parts);
  // A test server forgets its accounts.
  if (first.ok || first.fault.type !== "accountDoesNotExist") return first;
  const again = await renewAccount(session, plan, file);
  return again.ok ? orderAs(again.value, plan, parts) : again;
}

async function orderAs(account: OpenAccount, plan: OrderPlan, parts: ObtainParts): Promise<AcmeResult<Obtained>> {
  const { session } = parts;
  const begun = await beginOrder(account, plan, parts);
  if (!begun.ok) return begun;
  const { url, order } = begun.value;
  const shown = order.status === "ready" ? succeed(undefined) : await showControl(account, plan, order, parts);
  if (!shown.ok) return shown;
  const ready = await followOrder(account, url, session, ["ready", "valid"], LOOK_MS, "the authorization of the order");
  if (!ready.ok) return ready;
  const { makeRequest } = await loadCertificates();
  const { csr, key } = await makeRequest(plan.names);
  const sent = await session.post(order.finalize, { csr }, account);
  if (!sent.ok) return sent;
  const done = await followOrder(account, url, session, ["valid"], MAKE_MS, "the certificate");
  if (!done.ok) return done;
  if (done.value.certificate === undefined) return failAcme("the order is valid, and has no certificate");
  const accept = "application/pem-certificate-chain";
  const chain = await session.post(done.value.certificate, undefined, { ...account, accept });
  if (!chain.ok) return chain;
  const checked = checkChain(chain.value.text, { key, names: plan.names, now: session.now });
  return checked.ok ? succeed({ ...checked.value, key }) : checked;
}

/** Makes the order. A server that does not know what is replaced, or says that it was replaced already, is asked without that. */
async function beginOrder(
  account: OpenAccount,
  { names, profile }: OrderPlan,
  { session, replaces }: ObtainParts,
): Promise<AcmeResult<{ readonly url: string; readonly order: Order }>> {
  const payload = {
    identifiers: names.map((value) => ({ type: "dns", value })),
    ...(profile !== undefined && { profile }),
  };
  const send = (more: object) => session.post(session.directory.newOrder, { ...payload, ...more }, account);
  let answer = await send(replaces === undefined ? {} : { replaces });
  const type = answer.ok ? undefined : answer.fault.type;
  if (replaces !== undefined && (type === "alreadyReplaced" || type === "malformed")) answer = await send({});
  if (!answer.ok) return answer;
  const url = readLocation(answer.value, "the order", session.url);
  if (!url.ok) return url;
  const order = readOrder(answer.value.fields, session.url);
  return order.ok ? succeed({ url: url.value, order: order.value }) : order;
}

/** A challenge that is to be met. */
interface Task {
  readonly authorization: string;
  readonly name: string;
  readonly challenge: Challenge;
}

/** Shows control of each name that is not authorized yet. */
async function showControl(
  account: OpenAccount,
  { names }: OrderPlan,
  { authorizations }: Order,
  { session, solver }: ObtainParts,
): Promise<AcmeResult<void>> {
  if (authorizations.length > names.length) return failAcme("the order has more authorizations than names");
  const tasks: Task[] = [];
  for (const url of authorizations) {
    const answer = await session.post(url, undefined, account);
    if (!answer.ok) return answer;
    const authorization = readAuthorization(answer.value.fields, session.url);
    if (!authorization.ok) return authorization;
    const task = chooseChallenge(authorization.value, url, names, solver.type);
    if (!task.ok) return task;
    if (task.value !== undefined) tasks.push(task.value);
  }
  const proofs = tasks.map(({ name, challenge: { token } }): Proof => ({
    name: name.replace(/^\*\./, ""),
    token,
    keyAuthorization: `${token}.${account.key.thumbprint}`,
  }));
  try {
    const begun = await solver.begin(proofs, session.signal);
    if (!begun.ok) return begun;
    for (const { challenge } of tasks) {
      const told = await session.post(challenge.url, {}, account);
      if (!told.ok) return told;
    }
    return await followAuthorizations(account, tasks, session, solver);
  } finally {
    await solver.end();
  }
}

/** The challenge of a pending authorization; undefined for one that is met. */
function chooseChallenge(
  { status, name, challenges }: Authorization,
  authorization: string,
  names: readonly string[],
  type: Solver["type"],
): AcmeResult<Task | undefined> {
  if (!names.includes(name))
    return failAcme(quoteServer(`the server wants control of ${name} shown, which was not ordered`));
  if (status === "valid") return succeed(undefined);
  if (status !== "pending") return failAcme(`the authorization of ${name} is ${status}`);
  const challenge = challenges.find((each) => each.type === type);
  if (challenge === undefined) {
    const offered = challenges.map((each) => each.type).join(", ");
    return failAcme(`the server offers no ${type} for ${name}: it has ${quoteServer(offered) || "nothing"}`);
  }
  if (challenge.token === "") return failAcme(`the server sent a challenge for ${name} without a usable token`);
  return succeed({ authorization, name, challenge });
}

/** Waits until the authority has looked at all names. One that it does not accept loses the order; the others are still asked for, so that all are told at once. */
async function followAuthorizations(
  account: OpenAccount,
  tasks: readonly Task[],
  session: AcmeSession,
  { type, hint }: Solver,
): Promise<AcmeResult<void>> {
  const refused: string[] = [];
  for (const task of tasks) {
    const isLost = refused.length > 0;
    const looked = await followAuthorization(account, task, session, isLost ? OTHERS_MS : LOOK_MS);
    if (!looked.ok && !isLost) return looked;
    if (!looked.ok) break;
    if (looked.value !== undefined) refused.push(looked.value);
  }
  if (refused.length === 0) return succeed(undefined);
  return failAcme(`the authority did not accept ${type} for ${refused.join(" and for ")}. ${hint}`);
}

/** The name with what is wrong; undefined when control of it is shown. */
async function followAuthorization(
  account: OpenAccount,
  { authorization: url, name, challenge }: Task,
  session: AcmeSession,
  ms: number,
): Promise<AcmeResult<string | undefined>> {
  const answer = await session.poll(url, account, {
    read: (fields) => readAuthorization(fields, session.url),
    isOver: ({ status }) => status !== "pending",
    ms,
    what: `the look at ${name}`,
  });
  if (!answer.ok) return answer;
  const { status, challenges } = answer.value;
  if (status === "valid") return succeed(undefined);
  const problem = challenges.find((each) => each.url === challenge.url)?.problem;
  return succeed(`${name} (${problem ?? status})`);
}

async function followOrder(
  account: OpenAccount,
  url: string,
  session: AcmeSession,
  wanted: readonly string[],
  ms: number,
  what: string,
): Promise<AcmeResult<Order>> {
  const answer = await session.poll(url, account, {
    read: (fields) => readOrder(fields, session.url),
    isOver: ({ status }) => status === "invalid" || status === "unknown" || wanted.includes(status),
    ms,
    what,
  });
  if (!answer.ok || wanted.includes(answer.value.status)) return answer;
  const { status, problem } = answer.value;
  return failAcme(`the order is ${status}${problem === undefined ? "" : ` (${problem})`}`);
}
