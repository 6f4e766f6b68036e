import { AF_UNIX, O_CLOEXEC, O_NONBLOCK, SOCK_DGRAM } from "../../src/net/libc/constants.ts";
import { openLibc } from "../../src/net/libc/libc.ts";
import { waitFor } from "./wait-for.ts";

/** A service manager's end of sd_notify(3). */
export interface NotifySocket extends Disposable {
  /** The messages so far, each with its lines. */
  readonly messages: string[][];
  /** The first message that has this line, or a line that begins with it when it ends with "=". */
  until(line: string): Promise<string[]>;
}

/** Listens for datagrams at a path, or at `@` and an abstract name. */
export function listenNotify(at: string): NotifySocket {
  const libc = openLibc();
  if (libc === undefined) throw new Error("There is no C library to call");
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0);
  const address = Buffer.from(`\u0001\u0000${at.startsWith("@") ? `\u0000${at.slice(1)}` : `${at}\u0000`}`);
  if (libc.bind(fd, address) < 0) throw new Error(`Cannot bind ${at}`);
  const messages: string[][] = [];
  const room = new Uint8Array(4096);
  const read = (): void => {
    for (let size = 0; (size = libc.receive(fd, room, room.length, 0)) >= 0;)
      messages.push(Buffer.from(room.subarray(0, size)).toString().split("\n"));
  };
  return {
    get messages() {
      read();
      return messages;
    },
    until: (line) =>
      waitFor(() => {
        read();
        return messages.find((lines) =>
          lines.some((each) => (line.endsWith("=") ? each.startsWith(line) : each === line)),
        );
      }, `a message with ${line}`),
    [Symbol.dispose]: () => void libc.close(fd),
  };
}
