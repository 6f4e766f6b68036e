import { readObject } from "../protocol/handover/json-value.ts";
import type { Series } from "../proxy/record/live/series.ts";
import type { CarriedState } from "./carried-state.ts";

/**
 * What went through the proxy in the last 15 minutes and in the last day. The
 * seconds between the offer and the end of the hand-over have what the successor
 * counts: those of the old process in them are not carried.
 */
export function carrySeries(findSeries: () => Series | undefined): CarriedState {
  return {
    name: "series",
    save(since) {
      return since === "offer" ? null : (findSeries()?.save() ?? null);
    },
    restore(value, clockShiftMs) {
      const series = findSeries();
      // One of the two has no sidecar, or this is the second time.
      if (value === null || series === undefined) return true;
      const { seconds, minutes, minuteCount, count, beganAt } = readObject(value) ?? {};
      if (typeof seconds !== "string" || typeof minutes !== "string") return false;
      if (typeof count !== "number" || typeof minuteCount !== "number" || typeof beganAt !== "number") return false;
      return series.restore({ seconds, minutes, minuteCount, count, beganAt: beganAt + clockShiftMs });
    },
  };
}
