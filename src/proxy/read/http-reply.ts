import type { Voice } from "./respond.ts";
import { writeRefusal } from "./refusal.ts";

const encoder = new TextEncoder();
const established = new Map<string, Uint8Array>();

/** HTTP: a 200 to CONNECT has no more than its status line and the name of this proxy (RFC 9110 §9.3.6). */
export const httpVoice: Voice = {
  sayEstablished({ runtime: { agent } }) {
    let response = established.get(agent);
    if (response === undefined) {
      response = encoder.encode(`HTTP/1.1 200 Connection Established\r\nProxy-Agent: ${agent}\r\n\r\n`);
      established.set(agent, response);
    }
    return response;
  },
  sayRefused(session, failure, keeps) {
    return writeRefusal(failure, {
      agent: session.runtime.agent,
      id: session.id,
      rule: session.decision?.rule,
      challenges: session.runtime.authenticator.challenge(failure),
      withoutBody: session.method === "HEAD",
      keeps,
    });
  },
};
