import { type HandleScope, JSException, type JSValueHandle, QuickJS } from "quickjs-wasi";
import { containsIp, parseCidr } from "../address/cidr.ts";
import { formatName, toAsciiHost } from "../address/host.ts";
import { parseIp } from "../address/ip.ts";
import { PAC_LIBRARY } from "../protocol/pac/pac-library.ts";
import type { PacQuestion } from "../protocol/pac/pac-url.ts";
import type { KnownNames, PacStep } from "../proxy/pac/pac-file.ts";
import { MAX_RESULT } from "../protocol/pac/read-pac-result.ts";
import { escapeText } from "../escape-text.ts";

export type PacLoaded = { readonly ok: true } | { readonly ok: false; readonly why: string };

export interface SandboxOptions {
  /** Milliseconds for one evaluation; loading the file has ten times as long. Default: 500. */
  readonly evaluationMs?: number;
  /** Bytes of memory. Default: 64 MiB. */
  readonly memoryBytes?: number;
  /** The clock of the sandbox, milliseconds since the epoch. */
  readonly now?: () => number;
  /** Minutes west of UTC. Default: the time zone of this machine. */
  readonly timezoneOffset?: number;
  /** The addresses of this machine, the preferred one first. */
  readonly ownAddresses: () => readonly string[];
}

const EVALUATION_MS = 500;
const MEMORY_BYTES = 64 * 1024 * 1024;
/** Bytes of the stack of the engine's own code. Half of it is the most that the engine accepts. */
const STACK_BYTES = 256 * 1024;
/** Characters of an error of the file that are shown. */
const MAX_WHY = 200;

/** Stops an evaluation that needs an answer. */
const NEEDS = "names are resolved outside of the sandbox";

/**
 * Evaluates a PAC file in an engine of its own: QuickJS, compiled to WebAssembly.
 * The file sees the functions of PAC files and the objects of the language,
 * and nothing of this process. Time, memory and stack are bounded.
 *
 * An evaluation is synchronous. A name that is not known yet ends it with
 * `needs`, and the caller begins it again with the answer: Chromium does the same.
 */
export class PacSandbox {
  readonly #module: WebAssembly.Module;
  readonly #source: string;
  readonly #options: SandboxOptions;
  #engine: Engine | undefined;

  private constructor(module: WebAssembly.Module, source: string, options: SandboxOptions) {
    this.#module = module;
    this.#source = source;
    this.#options = options;
  }

  /** Runs the file once. Fails when it does not, or defines no `FindProxyForURL`. */
  static async open(
    module: WebAssembly.Module,
    source: string,
    options: SandboxOptions,
  ): Promise<{ readonly ok: true; readonly sandbox: PacSandbox } | { readonly ok: false; readonly why: string }> {
    const sandbox = new PacSandbox(module, source, options);
    const loaded = await sandbox.#load();
    return loaded.ok ? { ok: true, sandbox } : loaded;
  }

  /** Asks the file about a URL. */
  async find(question: PacQuestion, names: KnownNames): Promise<PacStep> {
    if (this.#engine === undefined) {
      const loaded = await this.#load();
      if (!loaded.ok) return { kind: "failed", why: loaded.why };
    }
    const engine = this.#engine as Engine;
    const step = engine.find(question, names);
    // After an error of the engine itself nothing in it can be trusted. Files that collect things fill its memory.
    if (engine.isSpent) this.close();
    return step;
  }

  close(): void {
    this.#engine?.close();
    this.#engine = undefined;
  }

  async #load(): Promise<PacLoaded> {
    const engine = await Engine.create(this.#module, this.#options);
    const loaded = engine.load(this.#source);
    if (loaded.ok) this.#engine = engine;
    else engine.close();
    return loaded;
  }
}

/** One instance of the engine. */
class Engine {
  readonly #vm: QuickJS;
  readonly #options: SandboxOptions;
  readonly #clock: { until: number };
  #find: JSValueHandle | undefined;
  #names: KnownNames = {};
  #needed: string | undefined;
  #broken = false;

  private constructor(vm: QuickJS, options: SandboxOptions, clock: { until: number }) {
    this.#vm = vm;
    this.#options = options;
    this.#clock = clock;
  }

  static async create(module: WebAssembly.Module, options: SandboxOptions): Promise<Engine> {
    const clock = { until: Infinity };
    const { now, timezoneOffset } = options;
    const vm = await QuickJS.create({
      wasm: module,
      memoryLimit: options.memoryBytes ?? MEMORY_BYTES,
      maxStackSize: STACK_BYTES,
      interruptHandler: () => performance.now() > clock.until,
      ...(timezoneOffset !== undefined && { timezoneOffset }),
      ...(now !== undefined && { wasi: (memory: WebAssembly.Memory) => ({ clock_time_get: tellTime(memory, now) }) }),
    });
    return new Engine(vm, options, clock);
  }

  /** Whether the next evaluation needs another instance. */
  get isSpent(): boolean {
    return this.#broken || this.#vm.getAllocatedSize() > (this.#options.memoryBytes ?? MEMORY_BYTES) / 2;
  }

  load(source: string): PacLoaded {
    const vm = this.#vm;
    const step = this.#run(this.#evaluationMs * 10, (scope) => {
      const library = vm.evalCode(PAC_LIBRARY, "functions");
      vm.callFunction(
        library,
        vm.undefined,
        vm.newFunction("resolve", (name) => this.#resolve(name)),
        vm.newFunction("own", () => vm.newString(this.#options.ownAddresses().join(";"))),
        vm.newFunction("inNet", (address, prefix) =>
          isInNet(readText(address), readText(prefix)) ? vm.true : vm.false,
        ),
      );
      vm.evalCode(source, "proxy.pac");
      const find = vm.evalCode(
        `typeof FindProxyForURLEx === "function" ? FindProxyForURLEx : typeof FindProxyForURL === "function" ? FindProxyForURL : undefined`,
      );
      if (find.isUndefined) return { kind: "failed", why: 'defines no function "FindProxyForURL"' };
      this.#find = scope.escape(find);
      return { kind: "answer", text: undefined };
    });
    switch (step.kind) {
      case "answer":
        return { ok: true };
      case "needs":
        return { ok: false, why: "asks for the addresses of names before it is asked for anything" };
      case "failed":
        return { ok: false, why: step.why };
      default:
        return step satisfies never;
    }
  }

  find({ url, host }: PacQuestion, names: KnownNames): PacStep {
    const vm = this.#vm;
    const find = this.#find;
    if (find === undefined) throw new Error("A PAC file was asked before it was loaded");
    this.#names = names;
    return this.#run(this.#evaluationMs, () =>
      readResult(vm.callFunction(find, vm.undefined, vm.newString(url), vm.newString(host))),
    );
  }

  close(): void {
    try {
      this.#vm.dispose();
    } catch {
      // An engine that broke cannot tidy up. Its memory goes with it.
    }
  }

  get #evaluationMs(): number {
    return this.#options.evaluationMs ?? EVALUATION_MS;
  }

  /** Runs code of the file for at most `ms` milliseconds. */
  #run(ms: number, work: (scope: HandleScope) => PacStep): PacStep {
    this.#needed = undefined;
    this.#clock.until = performance.now() + ms;
    let step: PacStep;
    try {
      step = this.#vm.withScope(work);
    } catch (error) {
      step = this.#explain(error, ms);
    } finally {
      this.#clock.until = Infinity;
    }
    // A file may have caught what stopped it.
    const needed: string | undefined = this.#needed;
    return needed === undefined ? step : { kind: "needs", name: needed };
  }

  #explain(error: unknown, ms: number): PacStep {
    if (!(error instanceof JSException)) {
      this.#broken = true;
      return { kind: "failed", why: "broke the engine that runs it" };
    }
    try {
      const { name, message, stack } = error;
      if (name === "InternalError") {
        this.#broken = true;
        if (message === "interrupted") return { kind: "failed", why: `did not end within ${ms} ms` };
        if (message === "out of memory") return { kind: "failed", why: "needs too much memory" };
      }
      const line = /proxy\.pac:(\d+)/.exec(stack ?? "")?.[1];
      const said = escapeText(`${name}: ${message}`.slice(0, MAX_WHY));
      return { kind: "failed", why: `threw ${said}${line === undefined ? "" : ` in line ${line}`}` };
    } catch {
      // The thrown value has code of its own.
      this.#broken = true;
      return { kind: "failed", why: "threw something that cannot be read" };
    } finally {
      if (!this.#broken) error.dispose();
    }
  }

  /** The addresses of a name, for the file. */
  #resolve(name: JSValueHandle | undefined): JSValueHandle {
    const vm = this.#vm;
    const written = readText(name);
    const parsed = written === undefined ? undefined : toAsciiHost(written);
    if (parsed?.ok !== true) return vm.null;
    const { host } = parsed;
    if (host.kind === "ip") return vm.newString(host.text);
    const key = formatName(host);
    const known = Object.hasOwn(this.#names, key) ? this.#names[key] : undefined;
    if (known !== undefined) return known.length === 0 ? vm.null : vm.newString(known.join(";"));
    this.#needed ??= key;
    throw new Error(NEEDS);
  }
}

/** Longer than any name. */
const MAX_ARGUMENT = 256;

function readText(value: JSValueHandle | undefined): string | undefined {
  if (value?.isString !== true || value.getProp("length").toNumber() > MAX_ARGUMENT) return undefined;
  return value.toString();
}

function isInNet(address: string | undefined, prefix: string | undefined): boolean {
  const ip = parseIp(address ?? "");
  const range = parseCidr(prefix ?? "");
  return ip !== undefined && range.ok && containsIp(range.cidr, ip);
}

function readResult(value: JSValueHandle): PacStep {
  if (value.isUndefined || value.isNull) return { kind: "answer", text: undefined };
  if (!value.isString) return { kind: "failed", why: `answered with ${describeType(value)} and not with a text` };
  if (value.getProp("length").toNumber() > MAX_RESULT)
    return { kind: "failed", why: `answered with a text of more than ${MAX_RESULT} characters` };
  return { kind: "answer", text: value.toString() };
}

function describeType(value: JSValueHandle): string {
  if (value.isPromise) return "a promise";
  if (value.isNumber) return "a number";
  return value.isBool ? "true or false" : "something else";
}

/** `clock_time_get` of WASI, by a clock of our own. */
function tellTime(memory: WebAssembly.Memory, now: () => number) {
  return (_clock: number, _precision: bigint, at: number): number => {
    new DataView(memory.buffer).setBigUint64(at, BigInt(Math.floor(now())) * 1_000_000n, true);
    return 0;
  };
}
