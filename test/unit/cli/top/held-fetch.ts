import { spyOn } from "bun:test";

/** A request that waits for its answer. */
export interface HeldRequest {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly answer: (response: Response) => void;
}

/** Holds what `fetch` is asked for, until the test answers. A request that is given up fails, as one of the network does. */
export function holdFetch(): Disposable & {
  readonly requests: HeldRequest[];
  /** Those that have neither an answer nor an end. */
  readonly open: () => string[];
} {
  const requests: HeldRequest[] = [];
  const waiting = new Set<HeldRequest>();
  const hold = (url: URL, { signal }: { readonly signal: AbortSignal }): Promise<Response> =>
    new Promise((resolve, reject) => {
      const request: HeldRequest = {
        path: url.pathname,
        signal,
        answer: (response) => {
          waiting.delete(request);
          resolve(response);
        },
      };
      requests.push(request);
      waiting.add(request);
      signal.addEventListener("abort", () => {
        waiting.delete(request);
        reject(new Error("given up"));
      });
    });
  const spy = spyOn(globalThis, "fetch").mockImplementation(hold as never);
  return {
    requests,
    open: () => [...waiting].map(({ path }) => path),
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}

/** The stream of `/live`: a test tells events, and it breaks when the request is given up. */
export function openEvents({ signal, answer }: HeldRequest): (event: "state" | "tick", data: object) => void {
  let tell: (text: string) => void = () => {};
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      tell = (text) => controller.enqueue(Buffer.from(text));
      signal.addEventListener("abort", () => controller.error(new Error("given up")));
    },
  });
  answer(new Response(body));
  return (event, data) => tell(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Lets everything that is ready happen, while timers rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
}
