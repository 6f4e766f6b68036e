import { parseBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { parseDigestCredentials } from "../../protocol/http1/digest.ts";
import type { Presented } from "../read/read-credentials.ts";
import { cutText } from "../record/escape-text.ts";

/** UTF-16 code units of a name that anybody can make up. */
const MAX_NAME = 128;

/** Whom a client says that it is, for the record of a refusal: nothing of it was shown to be true. */
export function readClaimedUser(presented: Presented): string | undefined {
  const user = presented.kind === "password" ? presented.user : readFields(presented);
  return user === undefined || user === "" ? undefined : cutText(user, MAX_NAME);
}

function readFields(presented: Presented): string | undefined {
  const value = presented.kind === "fields" ? (presented.values[0] ?? "") : "";
  const basic = parseBasicCredentials(value);
  if (basic.ok) return basic.credentials.user;
  const digest = parseDigestCredentials(value);
  return digest.ok ? digest.credentials.user : undefined;
}
