import { BufferedConn } from "../../src/net/conn/buffered-conn.ts";
import type { ConnSink } from "../../src/net/conn/conn.ts";

/** What lent bytes become when their time is over. No protocol has a message of it. */
export const POISON = 0xa5;

/** A consumer that is lent its bytes and finds them spoilt later, as `ConnSink.data` allows. */
export function poisonLentBytes(sink: ConnSink): ConnSink {
  return {
    data(chunk) {
      try {
        sink.data(chunk);
      } finally {
        chunk.fill(POISON);
      }
    },
    end: () => sink.end(),
    drain: () => sink.drain(),
    close: (reset) => sink.close(reset),
  };
}

// `bunfig.toml` loads this file before every test file: whoever keeps lent bytes of any connection fails there.
const { attach } = BufferedConn.prototype;
BufferedConn.prototype.attach = function attachPoisoned(sink: ConnSink): void {
  attach.call(this, poisonLentBytes(sink));
};
