import { field } from "./rule-field.ts";
import { compileHours, compileUntil, lastTime, weeklyHours } from "./when-schema.ts";

/** `hours` of a rule. */
export const hoursField = field({
  schema: weeklyHours()
    .describe(
      'Hours of the week in which the rule matches, on the clocks of a time zone: `"Mon-Fri 08:00-18:00 Europe/Berlin"`, `"Sat,Sun UTC"`, `"22:00-06:00 +01:00"` (a night belongs to the day on which it begins), several times as `08:00-12:00,13:00-18:00`; or a list of such texts. The end is not part of it. Summer time is that of the zone. Decides when a connection or a request begins: open tunnels stay open. Default: always.',
    )
    .optional(),
  compile: (hours) => ({ when: { hours: compileHours(hours) } }),
});

/** `until` of a rule. */
export const untilField = field({
  schema: lastTime()
    .describe(
      'The rule matches until then: a date for the whole of that day (`"2026-12-31"`, in UTC, or `"2026-12-31 Europe/Berlin"`), or a time with its zone (`"2026-12-31T18:00 Europe/Berlin"`, `"2026-12-31T17:00:00Z"`). After it the rule is as if it were not there, and `penstock check` warns of it. Default: no end.',
    )
    .optional(),
  compile: (until) => ({ when: { until: compileUntil(until) } }),
});
