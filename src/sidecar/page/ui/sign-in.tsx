import { useEffect, useRef, useState } from "preact/hooks";
import { usePage } from "./page-state.ts";

/** Seconds to wait after a wrong token, at most. */
const LONGEST_WAIT_S = 30;

/** Asks for the token. Nobody else is told it: no field of the form has a name, and the form is never sent. */
export function SignIn({ reason }: { readonly reason: string | undefined }) {
  const page = usePage();
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState(reason);
  const [wrong, setWrong] = useState(0);
  const [wait, setWait] = useState(0);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    if (wait <= 0) return undefined;
    const timer = setTimeout(() => setWait(wait - 1), 1000);
    return () => clearTimeout(timer);
  }, [wait]);
  useEffect(() => input.current?.focus(), []);

  const signIn = async (): Promise<void> => {
    const token = input.current?.value.trim() ?? "";
    if (token === "") return setProblem("Enter the token.");
    setBusy(true);
    const answer = await page.session.signIn(token);
    setBusy(false);
    if (answer.ok) return page.tell();
    setProblem(answer.message);
    input.current?.select();
    if (answer.status === 0) return undefined;
    setWrong(wrong + 1);
    // The sidecar slows down who guesses; so does the page, which spares it the requests.
    return setWait(answer.retryAfter ?? Math.min(2 ** wrong, LONGEST_WAIT_S));
  };

  return (
    <main class="sign-in">
      <form
        method="post"
        onSubmit={(event) => {
          event.preventDefault();
          if (wait === 0 && !isBusy) void signIn();
        }}
      >
        <Mark />
        <h1>Penstock</h1>
        <label for="token">Token of the sidecar</label>
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="current-password"
          spellcheck={false}
          aria-describedby="token-hint token-problem"
          aria-invalid={problem !== undefined}
        />
        <p id="token-hint" class="hint">
          The setting <code>sidecar.token</code>. It is kept until you close this tab.
        </p>
        <p id="token-problem" class="problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="primary" aria-disabled={wait > 0 || isBusy}>
          {wait > 0 ? `Wait ${wait} s` : "Open"}
        </button>
      </form>
    </main>
  );
}

/** The sign of Penstock: a pipe that leads down, and what comes back. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 28 20" aria-hidden="true">
      <path class="mark-down" d="M2 5h14a7 7 0 0 1 7 7v6" />
      <path class="mark-up" d="M2 14h9" />
    </svg>
  );
}
