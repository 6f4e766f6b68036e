import { describe, expect, test } from "bun:test";
import { Flow } from "../../../../src/proxy/flow/flow.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { SimpleBudget } from "../../../support/simple-budget.ts";

/** A flow whose source writes to it, as long as it is not paused. */
function begin(budget?: SimpleBudget) {
  const [source, sink, flow] = [new MemoryConn(), new MemoryConn(), new Flow()];
  flow.begin(source, sink, budget);
  source.attach({ data: (chunk) => flow.write(chunk), end: () => {}, drain: () => {}, close: () => {} });
  sink.attach({ data: () => {}, end: () => {}, drain: () => flow.flush(), close: () => {} });
  return { source, sink, flow };
}

describe("a flow", () => {
  test("writes what comes, and counts what the sink takes", () => {
    const { source, sink, flow } = begin();
    source.say("hello");
    expect([sink.text, flow.bytes, flow.empty]).toEqual(["hello", 5, true]);
  });

  test("keeps what the sink does not take, and reads on only when that is written", () => {
    const { source, sink, flow } = begin();
    sink.room = 3;
    source.say("hello");
    source.say(", world");
    expect([sink.text, flow.bytes, flow.empty, source.unreadBytes]).toEqual(["hel", 3, false, 7]);
    sink.grant(1);
    expect([sink.text, flow.empty, source.unreadBytes]).toEqual(["hell", false, 7]);
    sink.drain();
    expect([sink.text, flow.bytes, flow.empty, source.unreadBytes]).toEqual(["hello, world", 12, true, 0]);
  });

  test("puts what is written behind what waits", () => {
    const { sink, flow } = begin();
    sink.room = 1;
    flow.write(Buffer.from("head"));
    flow.write(Buffer.from("body"));
    sink.drain();
    expect([sink.text, flow.bytes]).toEqual(["headbody", 8]);
  });

  test("is never empty again once bytes are lost, and keeps none of those that follow", () => {
    const { sink, flow } = begin();
    sink.state = "fin";
    flow.write(Buffer.from("for nobody"));
    flow.write(Buffer.from("for nobody either"));
    flow.flush();
    expect([flow.bytes, flow.empty, sink.text]).toEqual([0, false, ""]);
  });

  test("is never empty again when bytes are lost that waited", () => {
    const { sink, flow } = begin();
    sink.room = 2;
    flow.write(Buffer.from("half"));
    sink.state = "fin";
    flow.flush();
    expect([flow.bytes, flow.empty, sink.text]).toEqual([2, false, "ha"]);
  });

  test("begins anew", () => {
    const { source, sink, flow } = begin();
    sink.room = 0;
    flow.write(Buffer.from("old"));
    const other = new MemoryConn();
    flow.begin(source, other);
    flow.write(Buffer.from("new"));
    expect([other.text, flow.bytes, flow.empty]).toEqual(["new", 3, true]);
  });
});

describe("a flow with a budget", () => {
  test("moves no more than its budget allows, and goes on when that is filled", () => {
    const budget = new SimpleBudget(3);
    const { source, sink, flow } = begin(budget);
    source.say("hello");
    source.say("!");
    expect([sink.text, flow.bytes, flow.empty, source.unreadBytes]).toEqual(["hel", 3, false, 1]);
    budget.fill(1);
    expect([sink.text, source.unreadBytes]).toEqual(["hell", 1]);
    budget.fill(10);
    expect([sink.text, flow.bytes, flow.empty, budget.bytes]).toEqual(["hello!", 6, true, 8]);
  });

  test("waits with an empty budget without writing anything", () => {
    const budget = new SimpleBudget();
    const { source, sink, flow } = begin(budget);
    source.say("hello");
    expect([sink.text, sink.bytesWritten, flow.empty, budget.waiting]).toEqual(["", 0, false, 1]);
  });

  test("pays only for what the sink takes", () => {
    const budget = new SimpleBudget(100);
    const { source, sink } = begin(budget);
    sink.room = 2;
    source.say("hello");
    expect([budget.bytes, budget.waiting]).toEqual([98, 0]);
    sink.drain();
    expect([sink.text, budget.bytes]).toEqual(["hello", 95]);
  });

  test("waits for its sink, and not for its budget, where the sink takes less than that allows", () => {
    const budget = new SimpleBudget(3);
    const { source, sink } = begin(budget);
    sink.room = 2;
    source.say("hello");
    expect([sink.text, budget.bytes, budget.waiting]).toEqual(["he", 1, 0]);
    sink.drain();
    expect([sink.text, budget.bytes, budget.waiting]).toEqual(["hel", 0, 1]);
    budget.fill(5);
    expect([sink.text, budget.bytes, budget.waiting]).toEqual(["hello", 3, 0]);
  });

  test("takes nothing back from a sink that is closed for writing", () => {
    const budget = new SimpleBudget(100);
    const { sink, flow } = begin(budget);
    sink.state = "fin";
    flow.write(Buffer.from("for nobody"));
    expect([budget.bytes, budget.moved, budget.waiting]).toEqual([100, 0, 0]);
  });

  test("shares it with others by turns", () => {
    const budget = new SimpleBudget(0, 2);
    const [one, two] = [begin(budget), begin(budget)];
    one.source.say("aaaaaa");
    two.source.say("bbbb");
    budget.fill(4);
    expect([one.flow.bytes, two.flow.bytes]).toEqual([2, 2]);
    budget.fill(100);
    expect([one.sink.text, two.sink.text, budget.bytes]).toEqual(["aaaaaa", "bbbb", 94]);
  });

  test("waits no longer once it is released", () => {
    const budget = new SimpleBudget();
    const { source, flow, sink } = begin(budget);
    source.say("hello");
    flow.release();
    budget.fill(100);
    expect([sink.text, budget.bytes, budget.waiting]).toEqual(["", 100, 0]);
  });
});
