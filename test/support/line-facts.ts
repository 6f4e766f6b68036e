/** Why lines are not run as they are written, and what shows instead that they hold. */
export interface NotRun {
  readonly line: RegExp;
  readonly because: string;
}

/** All lines of the pages that do not run here. Everything else runs. */
export const notRun: readonly NotRun[] = [
  {
    line: /^(npx -y bun|bun install|bun run |bun test)/,
    because: "needs the checkout and packages of the network: .ci/run runs them",
  },
  { line: /^npm (install|pack) /, because: "needs packages that are built: npm-package.test.ts installs them" },
  { line: /^\.ci\/try-(deb|systemd)/, because: "makes a whole Debian system: it is run before a release" },
  { line: /^\.ci\/release/, because: "builds executables: .ci/run runs it with --smoke" },
  { line: /^(docker|kubectl) /, because: "needs a container runtime: configurations.test.ts checks what is inside" },
  { line: /^apt install /, because: "needs root of a whole system: .ci/release checks the package" },
  { line: /^systemctl /, because: "needs a running systemd: .ci/try-systemd has one" },
  {
    line: /^(npm view|apt-get update|htpasswd|cat > squid\.conf|squid -N|mkdir -p lists)/,
    because: "a recording with mirrors of a company: apt.test.ts and everyday-programs.test.ts",
  },
  {
    line: /^(minisign|ssh-keygen|penstock upgrade)/,
    because: "needs a second release and its keys: upgrade.test.ts makes them",
  },
  { line: /^ssh -L /, because: "needs an SSH server" },
  { line: /^chromium /, because: "needs a window: chromium-pac.test.ts runs it without one" },
  { line: /^wireshark /, because: "needs a window: trace-tshark.test.ts reads the same file" },
];

/** Pages whose lines have a runner of their own, since each runs beside the one before. */
export const ownRunners: Readonly<Record<string, string>> = {
  "docs/agents.md": "agents.test.ts plays the page with a sandbox",
};

/** How a line is run that does not simply end with 0. */
export interface LineFacts {
  readonly line: RegExp;
  readonly page?: string;
  /** Its exit code. */
  readonly code?: number;
  /** Why that is not 0. */
  readonly because?: string;
  /** It runs until it is stopped: with SIGINT, once it has said this. */
  readonly until?: RegExp;
  /** What a person types. */
  readonly input?: string;
  /** It asks a person, so it needs a terminal. */
  readonly terminal?: true;
  /** No proxy serves beside it. */
  readonly alone?: true;
  /** It runs in a folder without files. */
  readonly fresh?: true;
  /** Lines of its output on the page that are of other traffic, or of what can fail. */
  readonly examples?: RegExp;
}

/** The first entry that matches a line holds for it. */
export const lineFacts: readonly LineFacts[] = [
  { line: /^penstock( serve)?( --(listen|config|upstream).*)?( *#.*)?$/, alone: true, until: /Listening on / },
  { line: /^penstock test /, alone: true },
  { line: /^penstock init/, page: "docs/editor.md", alone: true, fresh: true },
  { line: /^penstock init/, page: "docs/cli.md", alone: true, fresh: true },
  { line: /^penstock learn --live/, until: /\S/, code: 1, because: "nothing happened that could be learned" },
  { line: /^penstock top/, terminal: true, input: "q" },
  { line: /^penstock passwd /, input: "secret" },
  { line: /\/\/user@proxy/, input: "secret" },
  { line: /^penstock events/, until: /Watching until SIGINT/, examples: /^\d\d:\d\d:\d\d / },
  { line: /^penstock usage$/, page: "docs/limits.md", examples: /^(ci|bob) | left,? / },
  { line: /^NODE_EXTRA_CA_CERTS=.* penstock status/, page: "docs/operations.md", examples: /^(Cannot|The sidecar) / },
  { line: /^penstock approvals --watch/, until: /\S/ },
  { line: /^penstock capture .*\| wireshark/, until: /0a 0d 0d 0a/ },
  { line: /^penstock capture /, until: /\S/ },
  { line: /^curl .*\/capture/, until: /\S/, code: 130, because: "SIGINT ends curl" },
  { line: /^curl -N /, until: /data:/, code: 130, because: "SIGINT ends curl" },
  { line: /^penstock tunnels --(kill|user alice --all +#)/, terminal: true, input: "y\n" },
  { line: /^penstock explain 169\.254/, page: "README.md", code: 1, because: "the page shows a refusal" },
  {
    line: /^penstock explain https:\/\/example/,
    page: "docs/recipes.md",
    code: 1,
    because: "the page shows a refusal",
  },
  { line: /^curl .*169\.254\.169\.254/, code: 56, because: "the page shows the refusal" },
];
