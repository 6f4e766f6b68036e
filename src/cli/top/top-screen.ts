import type * as z from "zod";
import { statusAnswer } from "../../sidecar/status.ts";
import { tunnelDetails } from "../../sidecar/tunnel-details.ts";
import { askAnswer, type Asked } from "../ask-answer.ts";
import { endEach } from "../end-tunnels.ts";
import type { SidecarAccess } from "../find-sidecar.ts";
import type { CliIo } from "../io.ts";
import type { Screen } from "../process-screen.ts";
import { createPaint, type Paint, wantsColour } from "../style.ts";
import { countRoom, drawTop } from "./draw-top.ts";
import { followLive } from "./follow-live.ts";
import { type Key, KeyReader } from "./keys.ts";
import type { LiveModel } from "./live-model.ts";
import { Silence, WENT_SILENT } from "./silence.ts";
import type { TopView, Wish } from "./top-view.ts";

/** What the screen shows, and whom it asks. */
export interface TopParts {
  readonly access: SidecarAccess;
  /** `/live`, with the filters. */
  readonly url: URL;
  readonly model: LiveModel;
  readonly view: TopView;
  readonly io: Pick<CliIo, "openScreen" | "terminal" | "variables">;
  /** Ends the run, with what is to be told afterwards. */
  readonly leave: (why?: string) => void;
  readonly leaving: AbortSignal;
}

/** Milliseconds between two questions for `/status`; and after which a lone Escape is a key. */
const STATUS_MS = 5000;
const ESCAPE_MS = 50;

/** A picture that a terminal shows at once, where it knows how: synchronized output. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";

/** The screen of `penstock top`: keys in, pictures out. */
export class TopScreen implements Disposable {
  readonly #parts: TopParts;
  readonly #screen: Screen;
  readonly #keys = new KeyReader();
  readonly #paint: Paint;
  /** The lines that the terminal shows. */
  #drawn: readonly string[] = [];
  #escape: ReturnType<typeof setTimeout> | undefined;
  #isAskingStatus = false;
  /** What was told of the last `/status`, when it failed. */
  #statusTrouble: TopView["message"];
  /** The details that are asked for now. */
  #asking: { readonly id: string; readonly silence: Silence } | undefined;

  /** Takes the terminal; undefined where there is none. */
  static open(parts: TopParts): TopScreen | undefined {
    const typed = (text: string): void => opened?.type(text);
    const redraw = (): void => opened?.redraw();
    const screen = parts.io.openScreen({ typed, redraw, lost: () => parts.leave() });
    const opened = screen && new TopScreen(parts, screen);
    return opened;
  }

  private constructor(parts: TopParts, screen: Screen) {
    this.#parts = parts;
    this.#screen = screen;
    this.#paint = createPaint(wantsColour(parts.io));
  }

  /** Draws until it is time to leave. Gives why the sidecar cannot be followed any more. */
  async run(): Promise<string | undefined> {
    const { access, url, model, view, leaving } = this.#parts;
    this.redraw();
    const asking = setInterval(() => void this.#askStatus(), STATUS_MS);
    try {
      return await followLive(
        access,
        url,
        {
          state: (state) => {
            view.message = undefined;
            model.takeState(state, performance.now());
            this.#draw();
          },
          tick: (tick) => {
            model.takeTick(tick, performance.now());
            if (view.over?.kind === "details") void this.#askDetails(view.over.id);
            this.#draw();
          },
          trouble: (text) => {
            view.message = { text, isTrouble: true };
            this.#draw();
          },
        },
        leaving,
      );
    } finally {
      clearInterval(asking);
    }
  }

  /** Takes what was typed. */
  type(text: string): void {
    clearTimeout(this.#escape);
    this.#press(this.#keys.read(text));
    if (this.#keys.waits) this.#escape = setTimeout(() => this.#press(this.#keys.flush()), ESCAPE_MS);
  }

  /** Draws every line, whatever the terminal shows. */
  redraw(): void {
    this.#drawn = [];
    this.#draw("\u001b[2J");
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#escape);
    this.#screen.close();
  }

  #press(keys: readonly Key[]): void {
    for (const key of keys) {
      const wish = this.#parts.view.press(key);
      if (wish !== undefined) this.#fulfil(wish);
      if (this.#parts.leaving.aborted) return;
      // The next key is about what the person would see.
      this.#arrange();
    }
    if (keys.length > 0) this.#draw();
  }

  #fulfil(wish: Wish): void {
    switch (wish.kind) {
      case "quit":
        return this.#parts.leave();
      case "suspend":
        return this.#screen.suspend();
      case "redraw":
        return this.redraw();
      case "details":
        return void this.#askDetails(wish.id);
      case "end":
        return void this.#end(wish.ids);
    }
  }

  async #end(ids: readonly string[]): Promise<void> {
    const { access, view, leaving } = this.#parts;
    view.message = { text: `Ending ${ids.length}…`, isTrouble: false };
    const { ended, over, problem } = await endEach(access, ids, leaving);
    const text = `${ended} ended${over === 0 ? "" : `, ${over} were over already`}.${problem === undefined ? "" : ` ${problem}`}`;
    view.message = { text, isTrouble: problem !== undefined };
    this.#draw();
  }

  /** Asks for the figures above the table, one time at once. That they are old is told until there are new ones. */
  async #askStatus(): Promise<void> {
    if (this.#isAskingStatus) return;
    this.#isAskingStatus = true;
    const { access, url, view, leaving } = this.#parts;
    using silence = new Silence(leaving);
    const status = await askInTime(access, new URL("/status", url), statusAnswer, silence);
    this.#isAskingStatus = false;
    if (leaving.aborted) return;
    if (view.message === this.#statusTrouble) view.message = undefined;
    this.#statusTrouble = undefined;
    if (status.ok) view.status = status.value;
    else {
      this.#statusTrouble = { text: `No /status: ${status.message}`, isTrouble: true };
      view.message = this.#statusTrouble;
    }
    this.#draw();
  }

  /** Asks for the details of one row, one time at once. Those of another row are not waited for any more. */
  async #askDetails(id: string): Promise<void> {
    if (this.#asking?.id === id) return;
    this.#asking?.silence[Symbol.dispose]();
    const { access, url, view, leaving } = this.#parts;
    using silence = new Silence(leaving);
    const asking = { id, silence };
    this.#asking = asking;
    const place = new URL(`/tunnels/${encodeURIComponent(id)}`, url);
    const found = await askInTime(access, place, tunnelDetails, silence);
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    const gone = found.ok || found.status !== 404 ? undefined : `${id} is over.`;
    view.showDetails(id, found.ok ? found.value : (gone ?? found.message));
    this.#draw();
  }

  #arrange(): void {
    const { view, model } = this.#parts;
    view.arrange(model, countRoom(this.#screen.size().rows));
  }

  /** Writes the lines that are different. A picture that the terminal cannot take yet is left out: the next one shows all. */
  #draw(before = ""): void {
    if (this.#parts.leaving.aborted) return;
    this.#arrange();
    const { view, model } = this.#parts;
    const { columns, rows } = this.#screen.size();
    const scene = { model, view, columns, rows, now: performance.now(), time: new Date(), paint: this.#paint };
    const lines = drawTop(scene);
    const changed = lines.flatMap((line, at) =>
      line === this.#drawn[at] ? [] : `\u001b[${at + 1};1H\u001b[2K${line}`,
    );
    if (changed.length === 0 && before === "") return;
    if (this.#screen.write(`${BEGIN}${before}${changed.join("")}${END}`)) this.#drawn = lines;
    else if (before !== "") this.#drawn = [];
  }
}

/** Asks until the sidecar goes silent. An answer that breaks off is none. */
async function askInTime<T>(access: SidecarAccess, url: URL, form: z.ZodType<T>, silence: Silence): Promise<Asked<T>> {
  const none = (message: string): Asked<T> => ({ ok: false, status: undefined, message });
  const asked = await askAnswer(access, url, form, silence.signal).catch(() => none("The connection broke."));
  return silence.isOver ? none(WENT_SILENT) : asked;
}
