import type { Certificate } from "../../support/certificate.ts";

/** What a reload changes. */
type ReloadKind = "rules" | "users" | "upstreams" | "limits" | "certificate" | "listeners" | "broken";
/** What happens to the proxy: a reload, or a hand-over to a new process. */
export type ChangeKind = ReloadKind | "handover";
/** A reload that changes something. */
export type Effect = Exclude<ReloadKind, "broken">;

/** Of ten reloads two change certificates, two listeners, and two find a broken file. */
const TEN: readonly ReloadKind[] = [
  "rules",
  "certificate",
  "users",
  "listeners",
  "broken",
  "limits",
  "certificate",
  "upstreams",
  "listeners",
  "broken",
];

/** That many reloads, and hand-overs spread among them. */
export function planChanges(reloads: number, handovers: number): ChangeKind[] {
  return Array.from({ length: reloads }, (_, at): ChangeKind[] => {
    const isDue = Math.floor(((at + 1) * handovers) / reloads) > Math.floor((at * handovers) / reloads);
    return [TEN[at % TEN.length] as ReloadKind, ...(isDue ? (["handover"] as const) : [])];
  }).flat();
}

/** What is needed to write any of the configurations. */
export interface Facts {
  readonly certificates: readonly [Certificate, Certificate];
  readonly credentials: { readonly name: string; readonly password: string };
  readonly token: string;
  readonly laneBytes: number;
  /** A port that another program has. */
  readonly takenPort: number;
}

/** Which certificate, listeners and settings the configuration has. Each number names a version. */
export interface Version {
  readonly certificate: 0 | 1;
  /** A third listener, on a port of its own. */
  readonly visitor: "none" | "clear" | "tls";
  /** How many have come. */
  readonly visitors: number;
  readonly rules: number;
  readonly users: number;
  readonly upstreams: number;
  readonly limits: number;
}

export const firstVersion: Version = {
  certificate: 0,
  visitor: "none",
  visitors: 0,
  rules: 0,
  users: 0,
  upstreams: 0,
  limits: 0,
};

/** The version after a change. */
export function changeVersion(version: Version, kind: Effect): Version {
  switch (kind) {
    case "certificate":
      return { ...version, certificate: version.certificate === 0 ? 1 : 0 };
    case "listeners":
      if (version.visitor !== "none") return { ...version, visitor: "none" };
      return { ...version, visitor: version.visitors % 2 === 0 ? "clear" : "tls", visitors: version.visitors + 1 };
    default:
      return { ...version, [kind]: version[kind] + 1 };
  }
}

/** Name of a target that the rules of a version deny. */
export function nameDenied({ rules }: Version): string {
  return `denied-${rules}.test:443`;
}

/** Password of the second user in a version. */
export function inventPassword({ users }: Version): string {
  return `second-password-${users}`;
}

type Files = Readonly<Record<string, string | object>>;

/** The files of a version. */
export function writeFiles(version: Version, facts: Facts): Files {
  const { cert, key } = facts.certificates[version.certificate];
  return { "cert.pem": cert, "key.pem": key, "proxy.config.json": describeConfig(version, facts) };
}

function describeConfig(version: Version, { credentials, token, laneBytes }: Facts) {
  const tls = { cert: "cert.pem", key: "key.pem" };
  const visitor = { port: 0, ...(version.visitor === "tls" && { tls }) };
  return {
    listen: [{ port: 0 }, { port: 0, tls }, ...(version.visitor === "none" ? [] : [visitor])],
    users: [credentials, { name: "second", password: inventPassword(version) }],
    upstreams: { parent: `http://127.0.0.1:${10_000 + version.upstreams}` },
    rules: [
      { name: `denied-${version.rules}`, to: [nameDenied(version)], deny: true },
      { name: "parent", to: ["through-parent.test"], via: "parent" },
      { name: "origins", to: ["127.0.0.1"], allowPrivate: true },
    ],
    limits: { connections: 20_000 + version.limits },
    timeouts: { idle: `${10 + (version.limits % 10)}m`, drain: "5s" },
    sidecar: { unix: "s.sock", token },
    spliceAfter: `${laneBytes}B`,
    log: { access: "off" },
  };
}

/** Files that cannot be used, each in another way, beside those of a version. */
export function breakFiles(version: Version, facts: Facts, at: number): { files: Files; problem: string } {
  const config = describeConfig(version, facts);
  const other = facts.certificates[version.certificate === 0 ? 1 : 0];
  const breakages: readonly (() => { files: Files; problem: string })[] = [
    () => ({ files: { "proxy.config.json": JSON.stringify(config).slice(0, -20) }, problem: "proxy.config.json" }),
    () => ({ files: { "proxy.config.json": { ...config, rulez: [] } }, problem: "rulez" }),
    () => ({ files: { "key.pem": other.key }, problem: "key.pem" }),
    () => ({
      files: { "proxy.config.json": { ...config, listen: [...config.listen, `127.0.0.1:${facts.takenPort}`] } },
      problem: "the port is in use",
    }),
    () => ({ files: { "cert.pem": "" }, problem: "cert.pem" }),
    () => ({ files: { "proxy.config.json": { ...config, users: { file: "no-such-file" } } }, problem: "no-such-file" }),
  ];
  const breakage = breakages[at % breakages.length];
  if (breakage === undefined) throw new Error("There is always one");
  return breakage();
}
