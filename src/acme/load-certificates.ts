import type * as made from "./make-certificates.ts";

/** Loads the library for certificates, which takes time and memory: only when there is something to order. */
export async function loadCertificates(): Promise<typeof made> {
  // The library decorates its classes with it, and a bundle keeps no other order.
  await import("reflect-metadata");
  return import("./make-certificates.ts");
}
