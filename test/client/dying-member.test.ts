import { expect } from "bun:test";
import { runDyingMember } from "../support/dying-member.ts";
import { needs } from "../support/needs.ts";

needs("microsocks")(
  "no connection fails while one of five members is killed and comes back",
  async () => {
    const result = await runDyingMember({ program: "microsocks", perSecond: 100, deaths: 3 });
    expect(result.failed).toEqual({});
    expect(result.connections).toBeGreaterThan(100);
    expect(result.ejections).toBeGreaterThanOrEqual(6);
    // A tunnel that was open through the member cannot outlive it.
    expect(result.cut).toBeLessThanOrEqual(result.underWay);
  },
  300_000,
);

needs("tinyproxy")(
  "no GET fails while one of five members is stopped and goes on",
  async () => {
    const result = await runDyingMember({ program: "tinyproxy", perSecond: 50, deaths: 2, stops: true });
    expect(result.failed).toEqual({});
    expect(result.connections).toBeGreaterThan(100);
    expect(result.ejections).toBeGreaterThanOrEqual(4);
  },
  120_000,
);
