import { describe, expect, test } from "bun:test";
import { encodeFrame } from "../../src/protocol/handover/frame.ts";
import { encodeMessage, type HandoverMessage } from "../../src/protocol/handover/message.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { type FakeSuccessor, requireLibc, speak } from "../support/fake-successor.ts";
import { expectServes, startOld } from "../support/handover-stand.ts";
import { startProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { waitFor } from "../support/wait-for.ts";

const ready: HandoverMessage = { kind: "ready", program: "9.9.9", pid: 1, used: [0, 1] };

/** A successor that ends before it is ready: what it does, the status that the caller gets, and what is told. */
const failures: readonly (readonly [what: string, (fake: FakeSuccessor) => void, number, string])[] = [
  [
    "ends without a word",
    (fake) => fake.end("ended with exit code 1"),
    500,
    "ended with exit code 1 before it was ready.",
  ],
  ["is killed", (fake) => fake.end(), 500, "was ended by SIGKILL before it was ready."],
  [
    "speaks something else",
    (fake) => void requireLibc().write(fake.channel, Buffer.from("GET / HTTP/1.1\r\n"), 16),
    500,
    "it does not speak the hand-over protocol",
  ],
  [
    "speaks another version",
    (fake) => {
      const frame = encodeFrame(encodeMessage(ready));
      frame[4] = 2;
      requireLibc().write(fake.channel, frame, frame.length);
    },
    500,
    "it speaks another version of the hand-over protocol, and this program speaks version 1",
  ],
  [
    "sends a kind of message that is not known",
    (fake) => {
      const frame = encodeFrame(encodeMessage(ready));
      frame[5] = 77;
      requireLibc().write(fake.channel, frame, frame.length);
    },
    500,
    "it sent a message of a kind that this program does not know",
  ],
  [
    "sends what cannot be read",
    (fake) => {
      const frame = encodeFrame({ kind: "ready", descriptors: 0, payload: Buffer.from("{}") });
      requireLibc().write(fake.channel, frame, frame.length);
    },
    500,
    "it sent a message that cannot be read (ready)",
  ],
  [
    "sends what only the old process sends",
    (fake) => void speak(fake).channel.send({ kind: "confirmed" }),
    500,
    "it sent what only the old process sends (confirmed)",
  ],
  [
    "answers to what it was not sent",
    (fake) => void speak(fake).channel.send({ kind: "taken", batch: 1, refused: [] }),
    500,
    "it answered to what it was not sent",
  ],
  [
    "cannot use its configuration",
    (fake) => void speak(fake).channel.send({ kind: "failed", code: 78, problems: ["listen: Found 5."] }),
    422,
    "cannot use its configuration.",
  ],
  [
    "cannot listen",
    (fake) => void speak(fake).channel.send({ kind: "failed", code: 1, problems: ["Cannot listen on …"] }),
    500,
    "cannot serve.",
  ],
];

describe("a successor that", () => {
  test.each(failures)("%s changes nothing, and the reason is told", async (_, play, status, reason) => {
    using echo = listenEcho();
    await using proxy = await startOld(play);
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const answer = await proxy.ask("/handover", "POST");
    expect(answer.status).toBe(status);
    const { detail, problems } = (await answer.json()) as { detail: string; problems: string[] };
    expect(detail).toContain(reason);
    expect(detail).toEndWith(" The old process goes on as before.");
    const told = proxy.messages.join("\n");
    expect(told).toContain(`The hand-over failed, and this process goes on as before. Process `);
    expect(told).toContain(reason);
    for (const problem of problems) expect(proxy.messages).toContain(`  ${problem}`);
    peer.write("still here");
    await peer.untilText("still here");
    peer[Symbol.dispose]();
    await expectServes(proxy, echo.port);
  });

  test("cannot be started is told", async () => {
    using echo = listenEcho();
    const start = () => "Cannot start /nowhere: ENOENT.";
    await using proxy = await startProxy(
      {},
      { daemon: { successors: { start, onHandedOver: () => {}, onResumed: () => {} } } },
    );
    const outcome = await proxy.daemon.handOver("SIGUSR2");
    expect(outcome).toEqual({ kind: "failed", reason: "Cannot start /nowhere: ENOENT.", code: 1, problems: [] });
    await expectServes(proxy, echo.port);
  });

  test("is ready and then dies leaves the old process to accept again, and to hand over again", async () => {
    using echo = listenEcho();
    const dies: FakeSuccessor[] = [];
    await using proxy = await startOld((fake) => {
      dies.push(fake);
      void speak(fake).channel.send(ready);
    });
    const client = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    for (let times = 1; times <= 2; times += 1) {
      const { sidecar } = proxy.daemon;
      expect(await proxy.daemon.handOver("SIGUSR2")).toMatchObject({ kind: "done", program: "9.9.9" });
      expect(proxy.daemon.listeners).toHaveLength(1);
      dies.at(-1)?.end();
      await waitFor(
        () =>
          proxy.messages.filter((line) =>
            line.includes("is gone: the drain is taken back, accepting connections again."),
          ).length === times,
        "the old process to go on",
      );
      await waitFor(() => proxy.daemon.sidecar !== sidecar, "the sidecar");
      await expectServes(proxy, echo.port);
    }
    client.peer.write("still here");
    await client.peer.untilText("still here");
    client.peer[Symbol.dispose]();
  });
});

describe("a hand-over", () => {
  test("leaves clients that cannot move their next request, whose response says that it is the last", async () => {
    using origin = serveHttp(() => ok("served"));
    const config = { sockets: "runtime" } as const;
    await using proxy = await startOld((fake) => void speak(fake).channel.send(ready), config);
    const request = ask("GET", `http://127.0.0.1:${origin.port}/`);
    const [busy, idle, last] = [await proxy.connect(), await proxy.connect(), await proxy.connect()];
    const get = async (peer: RawPeer): Promise<string> => {
      peer.write(request);
      return (await takeResponse(peer)).head;
    };
    for (const peer of [busy, idle, last]) expect(await get(peer)).not.toMatch(/^connection: close/im);
    expect((await proxy.daemon.handOver("SIGUSR2")).kind).toBe("done");
    for (let isLast = false; !isLast;) isLast = /^connection: close/im.test(await get(busy));
    await busy.untilEnd();
    expect(idle.end).toBe("open");
    expect(await get(idle)).toMatch(/^connection: close/im);
    await idle.untilEnd();
    void proxy.daemon.drain("SIGTERM");
    await last.untilEnd();
    await proxy.daemon.ended;
  });

  test("ends the live view of the old process, whose clients then find the new one", async () => {
    using echo = listenEcho();
    await using proxy = await startOld((fake) => void speak(fake).channel.send(ready));
    // The successor never says that it has got it, so that the old process stays.
    using _tunnel = (await proxy.tunnel(`127.0.0.1:${echo.port}`)).peer;
    const live = await proxy.ask("/live");
    const text = live.text();
    expect((await proxy.daemon.handOver("SIGUSR2")).kind).toBe("done");
    expect(await text).toMatch(/^event: state\n[^]*\n\n$/);
  });

  test("is not taken back by a process that was told to end, when its successor dies", async () => {
    using echo = listenEcho();
    const fakes: FakeSuccessor[] = [];
    await using proxy = await startOld((fake) => {
      fakes.push(fake);
      void speak(fake).channel.send(ready);
    });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect((await proxy.daemon.handOver("SIGUSR2")).kind).toBe("done");
    void proxy.daemon.drain("SIGTERM");
    fakes[0]?.end();
    await waitFor(() => proxy.messages.some((line) => line.includes("is lost before it had everything")), "the loss");
    peer.write("still here");
    await peer.untilText("still here");
    await expect(connectRaw(proxy.port)).rejects.toThrow();
    peer[Symbol.dispose]();
    await proxy.daemon.ended;
  });

  test("is refused while another is under way, and when a successor has taken over", async () => {
    using echo = listenEcho();
    const fakes: FakeSuccessor[] = [];
    await using proxy = await startOld((fake) => fakes.push(fake));
    using client = await connectRaw(proxy.port);
    await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const first = proxy.daemon.handOver("SIGUSR2");
    await waitFor(() => fakes[0], "the successor");
    const second = await proxy.ask("/handover", "POST");
    expect(second.status).toBe(409);
    expect(await second.text()).toContain(`A hand-over to process ${fakes[0]?.pid} is under way.`);
    if (fakes[0]) void speak(fakes[0]).channel.send(ready);
    expect((await first).kind).toBe("done");
    expect(await proxy.daemon.handOver("SIGUSR2")).toEqual({
      kind: "refused",
      reason: `Process ${fakes[0]?.pid} has taken over already.`,
    });
    expect(fakes).toHaveLength(1);
    client.finish();
  });

  test("is refused while the proxy drains, and given up when it begins to", async () => {
    using echo = listenEcho();
    const fakes: FakeSuccessor[] = [];
    await using proxy = await startOld((fake) => fakes.push(fake));
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const handover = proxy.daemon.handOver("SIGUSR2");
    await waitFor(() => fakes[0], "the successor");
    void proxy.daemon.drain("SIGTERM");
    expect(await handover).toMatchObject({ kind: "failed", reason: "The proxy began to shut down." });
    expect(fakes[0]?.signals).toEqual(["SIGTERM"]);
    const answer = await proxy.ask("/handover", "POST");
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("The proxy is shutting down, so it does not hand over.");
    fakes[0]?.end();
    peer[Symbol.dispose]();
  });

  test("needs the token, POST, and an absolute path", async () => {
    let started = 0;
    await using proxy = await startOld(() => (started += 1));
    const url = `http://127.0.0.1:${proxy.daemon.sidecar?.port}/handover`;
    expect((await fetch(url, { method: "POST" })).status).toBe(401);
    expect((await proxy.ask("/handover")).status).toBe(405);
    for (const query of [
      "executable=penstock",
      "executable=",
      "executable=/a%00b",
      "path=/a",
      "executable=/a&executable=/b",
    ])
      expect((await proxy.ask(`/handover?${query}`, "POST")).status).toBe(400);
    expect(started).toBe(0);
  });
});
