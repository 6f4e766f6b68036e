import { readBlocks } from "./documentation.ts";
import type { PageNeeds } from "./documentation-world.ts";
import { AUDIENCE, ISSUER, startIssuer } from "./token-issuer.ts";

/** What the lines of a page need beside the world that all pages have. */
export async function pageNeeds(page: string): Promise<PageNeeds> {
  switch (page) {
    case "docs/policy-tests.md":
      return {
        config: { name: "proxy.config.yaml", text: POLICY },
        files: { "policy.test.yaml": findBlock(page, "# policy.test.yaml") },
      };
    case "docs/upstreams.md":
      return { config: { name: "proxy.config.ts", text: findBlock(page, "gate.provider.example") } };
    case "docs/users.md":
      return makeTokens();
    default:
      return {
        ...(page === "docs/cli.md" && { makesCertificates: true }),
        files: {
          "policy.yaml": "- nobody → example.org:443: allow\n",
          "policy.test.yaml": "- nobody → mail.example:25: deny denied_by_rule by no-mail\n",
          "access.log": `${JSON.stringify(REPORTED)}\n`,
        },
      };
  }
}

/** A block of a page that holds `part`. */
function findBlock(page: string, part: string): string {
  const block = readBlocks(page).find(({ text }) => text.includes(part));
  if (block === undefined) throw new Error(`${page} has no block with ${part}`);
  return block.text;
}

/** The policy that the expectations of the page are about. */
const POLICY = `
users: [{ name: ci, password: c }, { name: ann, password: a }]
upstreams: { corp: "http://proxy.corp.example:3128" }
rules:
  - { name: blocked, to: ["*.evil.example"], deny: true }
  - { name: packages, users: [ci], to: [packages.example], via: corp }
  - { name: intranet, to: [intranet.example], allowPrivate: true }
`;

/** A line of the access log, of a target that a rule would refuse. */
const REPORTED = {
  time: "2026-11-28T12:00:00.000Z",
  client: "10.0.0.9:41000",
  user: "ci",
  protocol: "http",
  method: "CONNECT",
  target: "registry.npmjs.org:443",
  route: "direct",
  status: 200,
  end: "closed",
  reported: "denied_by_default",
  reported_rule: "default",
};

/** A proxy whose users have tokens, and a token. */
async function makeTokens(): Promise<PageNeeds> {
  await using issuer = await startIssuer();
  const token = await issuer.sign();
  return {
    config: {
      name: "proxy.config.json",
      text: JSON.stringify({
        listen: ["0.0.0.0:3128", "0.0.0.0:8080"],
        users: { jwks: { file: "jwks.json" }, issuer: ISSUER, audience: AUDIENCE },
        auth: { exempt: [{ name: "local", from: "127.0.0.0/8" }] },
      }),
    },
    files: { "jwks.json": issuer.jwks() },
    variables: { TOKEN: token },
    credentials: `token:${token}`,
  };
}
