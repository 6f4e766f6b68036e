import { networkInterfaces } from "node:os";
import wasm from "quickjs-wasi/quickjs.wasm" with { type: "file" };
import type { PacQuestion } from "../protocol/pac/pac-url.ts";
import type { KnownNames, PacStep } from "../proxy/pac/pac-file.ts";
import { type PacLoaded, PacSandbox } from "./pac-sandbox.ts";

/** What the owner of the thread asks of it, one order after the other. */
export type PacOrder =
  | { readonly kind: "load"; readonly source: string }
  | { readonly kind: "find"; readonly question: PacQuestion; readonly names: KnownNames };

/** The answer to each order. */
export type PacReply =
  { readonly kind: "loaded"; readonly loaded: PacLoaded } | { readonly kind: "found"; readonly step: PacStep };

/** What the thread holds. */
interface PacState {
  module: Promise<WebAssembly.Module> | undefined;
  /** The file that is in use. */
  sandbox: PacSandbox | undefined;
}

if (!Bun.isMainThread) {
  const held: PacState = { module: undefined, sandbox: undefined };
  let done: Promise<void> = Promise.resolve();
  addEventListener("message", ({ data }: MessageEvent<PacOrder>) => {
    // One after the other: a file may still be loading.
    done = done.then(() => answer(data, held)).then(postMessage);
  });
}

async function answer(order: PacOrder, held: PacState): Promise<PacReply> {
  if (order.kind === "find") {
    if (held.sandbox === undefined) throw new Error("A PAC thread was asked before it had a file");
    return { kind: "found", step: await held.sandbox.find(order.question, order.names) };
  }
  held.module ??= compileEngine();
  const opened = await PacSandbox.open(await held.module, order.source, { ownAddresses: listOwnAddresses });
  if (!opened.ok) return { kind: "loaded", loaded: opened };
  // A file that cannot be used leaves the one before in use.
  held.sandbox?.close();
  held.sandbox = opened.sandbox;
  return { kind: "loaded", loaded: { ok: true } };
}

async function compileEngine(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await Bun.file(wasm).arrayBuffer());
}

/** The addresses of this machine, without loopback and link-local ones, IPv4 first. */
function listOwnAddresses(): string[] {
  const all = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !/^(?:169\.254\.|fe80:)/i.test(address));
  return [...all].sort((one, other) => one.family.localeCompare(other.family)).map(({ address }) => address);
}
