import { resolve } from "node:path";
import type { Hop } from "../proxy/route/route.ts";
import type { Runtime } from "../proxy/runtime.ts";
import { compileForward } from "./forward.ts";
import { compileUpstreams } from "./compile-upstream.ts";
import type { FileGroup } from "./follow-files.ts";
import type { Materials } from "./materials.ts";
import { listPaths } from "./pem.ts";
import type { Config } from "./schema.ts";

/** Puts new certificates into a runtime, and leaves everything else of it as it is. */
export type RenewTrust = (runtime: Runtime) => Runtime;

/** The certificates for upstreams and origins, to be read again when their files change; undefined when there are none. */
export function followTrustFiles(config: Config, materials: Materials): FileGroup<RenewTrust> | undefined {
  const names = new Set(listTrustFiles(config));
  if (names.size === 0) return undefined;
  return {
    files: [...names].map((name) => ({
      name,
      path: resolve(materials.folder, name),
      text: materials.files.get(name) ?? "",
    })),
    recompile(texts) {
      const renewed = { ...materials, files: new Map([...materials.files, ...texts]) };
      const { upstreams, problems } = compileUpstreams(config, renewed);
      const { forward, problems: more } = compileForward(config.forward, renewed);
      if (problems.length > 0 || more.length > 0) return { ok: false, problems: [...problems, ...more] };
      return {
        ok: true,
        value: (runtime) => ({
          ...runtime,
          upstreams: renewUpstreams(runtime.upstreams, upstreams),
          // The very object tells connections that may be shared from those that may not.
          forward: isSame(forward.ca, runtime.forward.ca)
            ? runtime.forward
            : { ...runtime.forward, ca: forward.ca ?? [] },
        }),
      };
    },
  };
}

function listTrustFiles({ upstreams, forward }: Config): string[] {
  const files = Object.values(upstreams).flatMap((written) => {
    if (typeof written === "string") return [];
    const { ca, cert, key } = written;
    return [...(ca === undefined ? [] : listPaths(ca)), cert ?? [], key ?? []].flat();
  });
  return [...files, ...(forward.ca === undefined ? [] : listPaths(forward.ca))];
}

/** An upstream whose certificates did not change stays the same object: its logins and its connections are kept by it. */
function renewUpstreams(before: ReadonlyMap<string, Hop>, now: ReadonlyMap<string, Hop>): ReadonlyMap<string, Hop> {
  return new Map(
    [...before].map(([name, hop]) => {
      const tls = now.get(name)?.tls;
      return [name, tls === undefined || isSame(tls, hop.tls) ? hop : { ...hop, tls }];
    }),
  );
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
