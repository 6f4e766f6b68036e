import * as z from "zod";

import { isParameterValue, MAX_PARAMETER_VALUE } from "../protocol/user-parameters.ts";
import type { ParameterCondition } from "../proxy/policy/rule-list.ts";
import { list, text } from "./fields.ts";
import { describeKind, type Problem, quoteNamed } from "./problem.ts";
import { suggest } from "./suggest.ts";

/** Stands for every value. */
const ANY = "*";

const wanted = 'a map from parameters to values, as in { country: ["de"] }';

/** The parameters that a user name must have, each with its values. */
export function parameterConditions() {
  const value = text("a value", (each) =>
    each === ANY || isParameterValue(each)
      ? undefined
      : `is no value that a client can send. Write up to ${MAX_PARAMETER_VALUE} letters, digits, dots or underscores, or "*"`,
  );
  return z
    .record(z.string(), list(value, 'a list of values such as ["de", "at"]'), {
      error: ({ input }) => `Found ${describeKind(input)}. Write ${wanted}.`,
    })
    .refine((map) => Object.keys(map).length > 0, { error: `Found an empty map. Write ${wanted}.` });
}

type ParameterConditions = z.output<ReturnType<typeof parameterConditions>>;

/** Finds names that `auth.parameters` does not have. Paths begin at the map. */
export function findUnknownParameters(conditions: unknown, known: readonly string[] | undefined): Problem[] {
  if (known === undefined || typeof conditions !== "object" || conditions === null) return [];
  return Object.keys(conditions).flatMap((name) => {
    if (known.includes(name)) return [];
    const advice = suggest(name, known) || ' Add it to "auth.parameters".';
    return { path: [name], message: `There is no ${quoteNamed("parameter", name)}.${advice}` };
  });
}

export function compileParameters(conditions: ParameterConditions): ParameterCondition[] {
  return Object.entries(conditions).map(([name, values]) =>
    values.includes(ANY) ? { name } : { name, values: new Set(values.map((value) => value.toLowerCase())) },
  );
}
