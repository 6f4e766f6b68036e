import { type RunningProgram, startProgram } from "./program.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Headless Chromium, driven by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/). */
export class Browser implements AsyncDisposable {
  readonly #program: RunningProgram;
  readonly #home: TemporaryFolder;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #tabs = new Map<string, (method: string, params: Record<string, unknown>) => void>();
  #lastId = 0;
  #target: string | undefined;

  private constructor(program: RunningProgram, home: TemporaryFolder, socket: WebSocket) {
    this.#program = program;
    this.#home = home;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  static async start(): Promise<Browser> {
    const home = await makeFolder();
    const program = startProgram(
      [
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
        ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        ["--hide-scrollbars", "--force-color-profile=srgb", "--no-proxy-server", "--remote-debugging-port=0"],
        // Nothing but what is on loopback can be reached by name.
        ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        [`--user-data-dir=${home.path}/profile`, "about:blank"],
      ],
      { env: { HOME: home.path } },
    );
    const line = await program.untilTold("DevTools listening on ");
    const socket = new WebSocket(line.slice(line.indexOf("ws://")).trim());
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error("The browser cannot be driven.")));
    });
    return new Browser(program, home, socket);
  }

  /** Opens a tab of its own profile, in which nothing of another one is. The tab before is closed. */
  async open(): Promise<Tab> {
    if (this.#target !== undefined) await this.send("Target.closeTarget", { targetId: this.#target });
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const session = String(sessionId);
    this.#target = String(targetId);
    const tab = new Tab((method, params) => this.send(method, params, session));
    this.#tabs.set(session, (method, params) => tab.take(method, params));
    await tab.begin();
    return tab;
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    this.#lastId += 1;
    const waiting = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(this.#lastId, waiting);
    this.#socket.send(JSON.stringify({ id: this.#lastId, method, params, ...(sessionId && { sessionId }) }));
    return waiting.promise;
  }

  #take({ id, sessionId, method, params, result, error }: Message): void {
    if (id === undefined) {
      if (sessionId !== undefined && method !== undefined) this.#tabs.get(sessionId)?.(method, params ?? {});
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error !== undefined) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result ?? {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#program[Symbol.asyncDispose]();
    await this.#home[Symbol.asyncDispose]();
  }
}

const KEYS: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowUp: 38,
  ArrowRight: 39,
  ArrowDown: 40,
  Delete: 46,
};

/** One page of the browser, and everything that it complained about. */
export class Tab {
  readonly #send: (method: string, params?: object) => Promise<Record<string, unknown>>;
  /** Errors of the page, breaches of its policy, and dialogs that a script opened. */
  readonly complaints: string[] = [];
  /** The URLs that were asked for. */
  readonly requests: string[] = [];
  readonly #events = new Map<string, ((params: Record<string, unknown>) => void)[]>();

  constructor(send: (method: string, params?: object) => Promise<Record<string, unknown>>) {
    this.#send = send;
  }

  async begin(): Promise<void> {
    for (const domain of ["Page", "Runtime", "Network", "Log", "Audits"]) await this.#send(`${domain}.enable`);
    await this.#send("Emulation.setFocusEmulationEnabled", { enabled: true });
  }

  send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#send(method, params);
  }

  on(method: string, listener: (params: Record<string, unknown>) => void): void {
    this.#events.set(method, [...(this.#events.get(method) ?? []), listener]);
  }

  take(method: string, params: Record<string, unknown>): void {
    for (const listener of this.#events.get(method) ?? []) listener(params);
    const text = JSON.stringify(params);
    if (method === "Runtime.exceptionThrown") this.complaints.push(`exception: ${text}`);
    if (method === "Page.javascriptDialogOpening") {
      this.complaints.push(`dialog: ${text}`);
      void this.#send("Page.handleJavaScriptDialog", { accept: false });
    }
    if (method === "Audits.issueAdded" && text.includes("ContentSecurityPolicyIssue"))
      this.complaints.push(`policy: ${text}`);
    if (method === "Network.requestWillBeSent") this.requests.push((params["request"] as { readonly url: string }).url);
  }

  async go(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  /** What an expression gives, as JSON. */
  async evaluate<T = unknown>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.#send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
      // What the policy of the page forbids is forbidden to tests as well.
      allowUnsafeEvalBlockedByCSP: false,
    })) as { result: { value: T }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    await waitFor(
      // Between two pages there is nothing to ask.
      () => this.evaluate<boolean>(`Boolean(${expression})`).catch(() => false),
      `the page to have ${expression}; it shows ${(await this.text().catch(() => "nothing")).slice(0, 300)}`,
      30_000,
    );
  }

  /** The text that somebody sees. */
  text(selector = "body"): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
  }

  /** Clicks in the middle of an element, as a mouse does. */
  async click(selector: string): Promise<void> {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    await this.until(element);
    const [x, y] = await this.evaluate<[number, number]>(
      `(() => { const e = ${element}; e.scrollIntoView({ block: "nearest" }); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()`,
    );
    for (const type of ["mousePressed", "mouseReleased"])
      await this.#send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }

  async press(key: string, modifiers = 0): Promise<void> {
    const code = KEYS[key] ?? key.toUpperCase().charCodeAt(0);
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
    const common = { key, modifiers, windowsVirtualKeyCode: code, ...(KEYS[key] !== undefined && { code: key }) };
    await this.#send("Input.dispatchKeyEvent", {
      type: text === undefined ? "rawKeyDown" : "keyDown",
      ...common,
      ...(text && { text }),
    });
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
  }

  async type(text: string): Promise<void> {
    await this.#send("Input.insertText", { text });
  }

  /** Makes the window so large. */
  async resize(width: number, height: number, scale = 1): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: scale,
      mobile: width < 700,
    });
  }

  async prefer(scheme: "light" | "dark"): Promise<void> {
    await this.#send("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: scheme },
        { name: "prefers-reduced-motion", value: "reduce" },
      ],
    });
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.#send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(String(data), "base64");
  }
}
