import wasm from "quickjs-wasi/quickjs.wasm" with { type: "file" };
import { PacSandbox, type SandboxOptions } from "../../src/pac/pac-sandbox.ts";
import type { KnownNames, PacStep } from "../../src/proxy/pac/pac-file.ts";

/** A PAC file in its sandbox, on the thread of the test. */
export interface OpenPac extends Disposable {
  find(url: string, host: string, names?: KnownNames): Promise<PacStep>;
}

const compiled = WebAssembly.compile(await Bun.file(wasm).arrayBuffer());

/** Loads a PAC file, or says why it cannot be loaded. */
export async function loadPac(source: string, options: Partial<SandboxOptions> = {}): Promise<OpenPac | string> {
  const opened = await PacSandbox.open(await compiled, source, { ownAddresses: () => ["192.0.2.7"], ...options });
  if (!opened.ok) return opened.why;
  const { sandbox } = opened;
  return {
    find: (url, host, names = {}) => sandbox.find({ url, host }, names),
    [Symbol.dispose]: () => sandbox.close(),
  };
}

/** Loads a PAC file that must be right. */
export async function openPac(source: string, options?: Partial<SandboxOptions>): Promise<OpenPac> {
  const pac = await loadPac(source, options);
  if (typeof pac === "string") throw new Error(`The PAC file ${pac}`);
  return pac;
}

/** What an expression is inside a PAC file, as JSON. */
export async function evaluateInPac(
  expression: string,
  options: Partial<SandboxOptions> & { readonly names?: KnownNames } = {},
): Promise<unknown> {
  using pac = await openPac(`function FindProxyForURL(url, host) { return JSON.stringify(${expression}); }`, options);
  const step = await pac.find("https://host.example/", "host.example", options.names);
  if (step.kind !== "answer") throw new Error(`${expression}: ${JSON.stringify(step)}`);
  return step.text === undefined ? undefined : JSON.parse(step.text);
}
