import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./package-deb.ts";
import { read, root } from "./package-files.ts";

type Json = Readonly<Record<string, unknown>>;

/** What Bun is made of, as far as `process.versions` tells it, with the licences that its documentation names. */
const RUNTIME_PARTS: Readonly<Record<string, { readonly name: string; readonly license: string }>> = {
  ares: { name: "c-ares", license: "MIT" },
  boringssl: { name: "BoringSSL", license: "ISC AND OpenSSL" },
  icu: { name: "ICU", license: "Unicode-3.0" },
  libarchive: { name: "libarchive", license: "BSD-2-Clause" },
  libdeflate: { name: "libdeflate", license: "MIT" },
  llhttp: { name: "llhttp", license: "MIT" },
  lolhtml: { name: "lol-html", license: "BSD-3-Clause" },
  lshpack: { name: "ls-hpack", license: "MIT" },
  mimalloc: { name: "mimalloc", license: "MIT" },
  picohttpparser: { name: "picohttpparser", license: "MIT" },
  sqlite: { name: "SQLite", license: "blessing" },
  tinycc: { name: "TinyCC", license: "LGPL-2.1-or-later" },
  usockets: { name: "uSockets", license: "Apache-2.0" },
  uv: { name: "libuv", license: "MIT" },
  uwebsockets: { name: "uWebSockets", license: "Apache-2.0" },
  webkit: { name: "WebKit (JavaScriptCore)", license: "LGPL-2.0-or-later AND BSD-2-Clause" },
  zlib: { name: "zlib", license: "Zlib" },
  zstd: { name: "Zstandard", license: "BSD-3-Clause OR GPL-2.0-only" },
};

/**
 * The bill of materials of a release, as CycloneDX 1.6: the packages whose files
 * are in the bundle, with the checksums of bun.lock, and the runtime with its
 * parts. The same for all platforms. `time` is in seconds since 1970.
 */
export async function writeSbom(version: string, time: number): Promise<string> {
  const packages = await listBundled();
  const locked = await readLock();
  const own = `pkg:generic/penstock@${version}`;
  const bun = `pkg:generic/bun@${Bun.version}`;
  const components = [
    ...(await Promise.all(packages.map((name) => describePackage(name, locked)))),
    {
      type: "platform",
      "bom-ref": bun,
      name: "bun",
      version: Bun.version,
      description: `Commit ${Bun.revision}`,
      purl: bun,
      licenses: [{ expression: "MIT" }],
    },
    ...listRuntimeParts(),
  ].toSorted((a, b) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1));
  const parts = listRuntimeParts().map((part) => part["bom-ref"]);
  const body = {
    metadata: {
      timestamp: new Date(time * 1000).toISOString().replace(".000Z", "Z"),
      component: {
        type: "application",
        "bom-ref": own,
        name: "penstock",
        version,
        purl: own,
        licenses: [{ expression: "MIT" }],
      },
    },
    components,
    dependencies: [
      { ref: own, dependsOn: components.map((each) => each["bom-ref"]).filter((ref) => !parts.includes(ref)) },
      { ref: bun, dependsOn: parts },
    ],
  };
  const id = new Bun.CryptoHasher("sha256").update(JSON.stringify(body)).digest("hex");
  return `${JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.6", serialNumber: nameSerial(id), version: 1, ...body }, undefined, 2)}\n`;
}

/** A UUID (RFC 9562 §5.8) that goes by the content, so that the same release has the same. */
function nameSerial(hash: string): string {
  return `urn:uuid:${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** Names of the packages of which files are in the bundle, workers and the page included. */
export async function listBundled(): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-sbom-"));
  try {
    const meta = join(folder, "meta.json");
    const workers = await Array.fromAsync(new Bun.Glob("src/**/*-worker.ts").scan(root));
    const entries = ["src/main.ts", "src/sidecar/page/ui/main.tsx", ...workers];
    await run([process.execPath, "build", "--target=bun", ...entries, "--outdir", folder, `--metafile=${meta}`]);
    const { inputs } = (await Bun.file(meta).json()) as { inputs: Json };
    const found = new Set<string>();
    for (const path of Object.keys(inputs)) {
      const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      if (name !== undefined) found.add(name);
    }
    // A font is in the page by its style sheet.
    found.add("@fontsource-variable/geist");
    return [...found].toSorted();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Name to version and sha512 in base64. */
async function readLock(): Promise<ReadonlyMap<string, { readonly version: string; readonly sha512: string }>> {
  const rows = [
    ...(await read("bun.lock")).matchAll(/^ {4}"([^"]+)": \["(?:@?[^"@]+)@([^"]+)",.*"sha512-([^"]+)"\],$/gm),
  ];
  return new Map(rows.map(([, name = "", version = "", sha512 = ""]) => [name, { version, sha512 }]));
}

async function describePackage(name: string, locked: Awaited<ReturnType<typeof readLock>>) {
  const { version, license } = (await Bun.file(join(root, "node_modules", name, "package.json")).json()) as {
    version: string;
    license?: string;
  };
  const lock = locked.get(name);
  if (lock?.version !== version) throw new Error(`${name} ${version} is not what bun.lock has: ${lock?.version}`);
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    hashes: [{ alg: "SHA-512", content: Buffer.from(lock.sha512, "base64").toHex() }],
    ...(license !== undefined && { licenses: [{ expression: license }] }),
  };
}

export function listRuntimeParts() {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  return Object.entries(RUNTIME_PARTS).flatMap(([key, { name, license }]) => {
    const version = versions[key];
    return version === undefined
      ? []
      : [{ type: "library", "bom-ref": `bun:${key}@${version}`, name, version, licenses: [{ expression: license }] }];
  });
}
