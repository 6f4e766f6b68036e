import { describe, expect, test } from "bun:test";
import { writeWhole } from "../../../../src/proxy/read/write-whole.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const message = Buffer.from("a whole message");

describe("a message to a client", () => {
  test("is done at once when there is room for it", () => {
    const client = new MemoryConn();
    expect(writeWhole(client, message, 0)).toBe(true);
    expect(client.text).toBe("a whole message");
  });

  test("is not done at all when the client is closed for writing", () => {
    const client = new MemoryConn();
    client.shutdown();
    expect(writeWhole(client, message, 0)).toBe(false);
  });

  test("waits for room, and leaves unread in order what the client says meanwhile", async () => {
    const client = new MemoryConn();
    client.room = 3;
    client.say("one ");
    client.say("two ");
    const done = writeWhole(client, message, 0);
    client.say("three");
    client.grant(5);
    client.grant(100);
    expect(await done).toBe(true);
    expect(client.text).toBe("a whole message");
    let heard = "";
    client.attach({ data: (chunk) => (heard += Buffer.from(chunk)), end: () => {}, drain: () => {}, close: () => {} });
    expect(heard).toBe("one two three");
    expect(client.bytesRead).toBe(heard.length);
  });

  test("is the last one when the client ends meanwhile", async () => {
    const client = new MemoryConn();
    client.room = 0;
    client.finish();
    const done = writeWhole(client, message, 0);
    client.drain();
    expect(await done).toBe(false);
    expect(client.text).toBe("a whole message");
  });

  test("is not waited for when the client is gone", async () => {
    const client = new MemoryConn();
    client.room = 0;
    const done = writeWhole(client, message, 0);
    client.vanish();
    expect(await done).toBe(false);
  });

  test("ends the connection with a reset when nothing of it is taken in time", async () => {
    const client = new MemoryConn();
    client.room = 3;
    expect(await writeWhole(client, message, 50)).toBe(false);
    expect(client.state).toBe("reset");
  });
});
