import { findUnreachableInSteps } from "../../src/config/find-unreachable-rules.ts";
import { diffFingerprintsInSteps, takeFingerprintsInSteps } from "../../src/config/fingerprints.ts";
import { parseJsonInSteps } from "../../src/config/parse-json.ts";
import { copyInSteps } from "../../src/config/plain-data.ts";
import { runAtOnce } from "../../src/steps.ts";

// What the proxy does in steps, so that clients have their turn, without a pause.

export function findUnreachableRules(...args: Parameters<typeof findUnreachableInSteps>) {
  return runAtOnce(findUnreachableInSteps(...args));
}

export function takeFingerprints(...args: Parameters<typeof takeFingerprintsInSteps>) {
  return runAtOnce(takeFingerprintsInSteps(...args));
}

export function diffFingerprints(...args: Parameters<typeof diffFingerprintsInSteps>) {
  return runAtOnce(diffFingerprintsInSteps(...args));
}

export function parseJson(text: string) {
  return runAtOnce(parseJsonInSteps(text));
}

export function copyPlainData(value: unknown) {
  return runAtOnce(copyInSteps(value));
}
