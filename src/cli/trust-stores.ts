import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurably } from "../state/durable-file.ts";

/** One thing to be done to a store. */
export type Step =
  | { readonly kind: "write"; readonly path: string; readonly text: string }
  | { readonly kind: "remove"; readonly path: string }
  /** A folder for its owner alone. */
  | { readonly kind: "make"; readonly path: string }
  | { readonly kind: "run"; readonly command: readonly string[] };

/** What a store needs; nothing when it is as it should be. */
export interface StorePlan {
  /** What it is, for people. */
  readonly store: string;
  readonly steps: readonly Step[];
  /** Why this program does not do it: the steps are for a person. */
  readonly obstacle?: string;
}

/** The authority that is to be trusted, or not any more. */
export interface TrustWish {
  /** Path and text of the certificate alone. */
  readonly file: string;
  readonly pem: string;
  /** SHA-256 of the certificate in hexadecimal digits. */
  readonly fingerprint: string;
  readonly remove: boolean;
}

/** Where to look. */
export interface TrustPlaces {
  /** The folder that is the root of the system. */
  readonly root: string;
  readonly home: string | undefined;
  readonly platform: NodeJS.Platform;
  /** The path of a program; undefined where it is not installed. */
  readonly findProgram: (name: string) => string | undefined;
  /** Runs a program, and gives its exit code. */
  readonly ask: (command: readonly string[]) => number;
}

/** Enough of the fingerprint for names of files and entries: they are ours, and one for each authority. */
function nameAuthority({ fingerprint }: TrustWish): string {
  return `penstock-${fingerprint.slice(0, 16)}`;
}

/** Folders of the systems, and the program that makes their bundles. */
const anchors = [
  { store: "Debian", folder: "usr/local/share/ca-certificates", ending: "crt", program: "update-ca-certificates" },
  { store: "Fedora, RHEL", folder: "etc/pki/ca-trust/source/anchors", ending: "pem", program: "update-ca-trust" },
  { store: "SUSE", folder: "etc/pki/trust/anchors", ending: "pem", program: "update-ca-certificates" },
  { store: "Arch", folder: "etc/ca-certificates/trust-source/anchors", ending: "crt", program: "update-ca-trust" },
] as const;

/** The store of the system. Only that of Linux is changed by this program. */
export function planSystem(wish: TrustWish, places: TrustPlaces): StorePlan {
  const { root, platform } = places;
  if (platform === "darwin" || platform === "win32") return planElsewhere(wish, platform);
  const found = anchors.find(({ folder }) => existsSync(join(root, folder)));
  if (found === undefined)
    return {
      store: "system",
      steps: [],
      obstacle: `there is none of ${anchors.map(({ folder }) => join(root, folder)).join(", ")}`,
    };
  const path = join(root, found.folder, `${nameAuthority(wish)}.${found.ending}`);
  const store = `system (${found.store})`;
  if (wish.remove && !existsSync(path)) return { store, steps: [] };
  const change: Step = wish.remove ? { kind: "remove", path } : { kind: "write", path, text: wish.pem };
  const steps = isSame(path, wish) ? [] : [change];
  const program = places.findProgram(found.program);
  const update: Step = {
    kind: "run",
    command: [program ?? found.program, ...chooseArguments(found.store, wish, root)],
  };
  if (program === undefined || (root !== "/" && found.store !== "Debian"))
    return { store, steps: [...steps, update], obstacle: `${found.program} has to be run in ${root}` };
  return { store, steps: [...steps, update] };
}

function isSame(path: string, { pem, remove }: TrustWish): boolean {
  try {
    return !remove && readFileSync(path, "utf8") === pem;
  } catch {
    return false;
  }
}

/** Debian forgets what is gone only with `--fresh`, and works on another root folder by folder. */
function chooseArguments(store: string, { remove }: TrustWish, root: string): string[] {
  if (store !== "Debian") return [];
  const fresh = remove ? ["--fresh"] : [];
  if (root === "/") return fresh;
  const folders = [
    ["--certsconf", "etc/ca-certificates.conf"],
    ["--certsdir", "usr/share/ca-certificates"],
    ["--localcertsdir", "usr/local/share/ca-certificates"],
    ["--etccertsdir", "etc/ssl/certs"],
    // Hooks of another system are not for this one: the folder is none.
    ["--hooksdir", "nonexistent"],
  ] as const;
  return [...fresh, ...folders.flatMap(([flag, folder]) => [flag, join(root, folder)])];
}

/** What was never tried is not done, but said. */
function planElsewhere({ file, remove, fingerprint }: TrustWish, platform: "darwin" | "win32"): StorePlan {
  const mac = remove
    ? ["sudo", "security", "remove-trusted-cert", "-d", file]
    : [
        "sudo",
        "security",
        "add-trusted-cert",
        "-d",
        "-r",
        "trustRoot",
        "-k",
        "/Library/Keychains/System.keychain",
        file,
      ];
  const windows = remove ? ["certutil", "-delstore", "Root", fingerprint] : ["certutil", "-addstore", "Root", file];
  return {
    store: platform === "darwin" ? "system (macOS)" : "system (Windows)",
    steps: [{ kind: "run", command: platform === "darwin" ? mac : windows }],
    obstacle: `on this system you run the command yourself${platform === "win32" ? ", as administrator" : ""}`,
  };
}

/** Folders for the database of Chromium, below the home. It uses the second one where the first one is not there. */
const CHROMIUM = [".pki/nssdb", ".local/share/pki/nssdb"] as const;

/**
 * The databases of browsers on Linux: Chromium's, and one for each profile of Firefox.
 * Where Chromium never ran its database is made as Chromium makes it: in ~/.pki/nssdb,
 * with an empty password. `making` says when.
 */
export function planBrowsers(
  wish: TrustWish,
  { home, platform, findProgram, ask }: TrustPlaces,
  making: "always" | "with certutil" | "never" = "always",
): StorePlan[] {
  if (platform !== "linux" || home === undefined) return [];
  const profiles = join(home, ".mozilla/firefox");
  const shared = CHROMIUM.map((folder) => join(home, folder));
  const isThere = (folder: string): boolean => existsSync(join(folder, "cert9.db"));
  const found = [...shared, ...listFolder(profiles).map((name) => join(profiles, name))].filter(isThere);
  const certutil = findProgram("certutil");
  const [first] = shared;
  const isMissing = first !== undefined && !shared.some(isThere) && !wish.remove;
  const isMade = isMissing && (making === "always" || (making === "with certutil" && certutil !== undefined));
  return [...(isMade ? [first] : []), ...found].map((folder): StorePlan => {
    const store = `browser (${folder})`;
    const database = ["-d", `sql:${folder}`];
    const entry = ["-n", nameAuthority(wish)];
    const run = (...words: string[]): Step => ({ kind: "run", command: [certutil ?? "certutil", ...words] });
    const steps: Step[] = isThere(folder)
      ? []
      : [{ kind: "make", path: folder }, run("-N", "--empty-password", ...database)];
    steps.push(
      wish.remove ? run("-D", ...database, ...entry) : run("-A", ...database, ...entry, "-t", "C,,", "-i", wish.file),
    );
    if (certutil === undefined) return { store, steps, obstacle: "certutil is not installed (Debian: libnss3-tools)" };
    const hasEntry = isThere(folder) && ask([certutil, "-L", ...database, ...entry]) === 0;
    return { store, steps: hasEntry === wish.remove ? steps : [] };
  });
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // Nobody uses Firefox.
    return [];
  }
}

/** Writes or removes the file of a store. */
export async function changeFile(step: Exclude<Step, { kind: "run" }>): Promise<void> {
  if (step.kind === "remove") return rm(step.path);
  if (step.kind === "make") return void (await mkdir(step.path, { recursive: true, mode: 0o700 }));
  await mkdir(dirname(step.path), { recursive: true });
  await writeDurably(step.path, step.text, 0o644);
}
