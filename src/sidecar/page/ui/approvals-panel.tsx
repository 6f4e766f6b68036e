import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { formatAge, show } from "./format.ts";
import { useAnswer, usePage } from "./page-state.ts";
import type { OpenApproval } from "./wire.ts";

const EVERY_MS = 2000;
/** A reload may change what a token may do. */
const TOKEN_EVERY_MS = 30_000;
/** Questions that are shown; the list goes on with the next ones. */
const MAX_SHOWN = 20;

interface Choice {
  readonly text: string;
  readonly title: string;
  readonly allow: boolean;
  readonly for: "once" | "10m" | "always";
}

const choices: readonly Choice[] = [
  { text: "Allow once", title: "Those who wait now", allow: true, for: "once" },
  { text: "Ten minutes", title: "This user or client, this host and port, for ten minutes", allow: true, for: "10m" },
  { text: "Always", title: "For everybody, by the list of approvals", allow: true, for: "always" },
  { text: "Deny", title: "Those who wait now", allow: false, for: "once" },
];

/** What waits for an operator: there only while something does. A token that may only read sees it. */
export function ApprovalsPanel() {
  const page = usePage();
  const { value } = useAnswer("approvals", "", EVERY_MS);
  const { value: token } = useAnswer("token", "", TOKEN_EVERY_MS);
  const [answered, note] = useReducer(
    (before: ReadonlySet<string>, id: string): ReadonlySet<string> => new Set([...before, id]),
    new Set<string>(),
  );
  const open = (value?.approvals ?? []).filter(({ id }) => !answered.has(id));
  const mayAnswer = token?.may.includes("operate") === true;
  const heading = useRef<HTMLHeadingElement>(null);
  const isEmpty = open.length === 0;
  const wasThere = useRef(false);
  // The buttons are gone with the last question: the keyboard goes on in the content.
  useEffect(() => {
    if (isEmpty && wasThere.current && document.activeElement === document.body)
      document.querySelector<HTMLElement>("#main")?.focus();
    wasThere.current = !isEmpty;
  }, [isEmpty]);
  if (isEmpty) return null;

  const answer = async ({ id, target }: OpenApproval, choice: Choice): Promise<void> => {
    const body = { allow: choice.allow, for: choice.for };
    const said = await page.session.ask(`/approvals/${encodeURIComponent(id)}`, { method: "POST", body });
    if (!said.ok) {
      // Somebody else was faster.
      if (said.status === 404) note(id);
      return page.note(said.message, true);
    }
    note(id);
    heading.current?.focus();
    return page.note(`${choice.allow ? "Allowed" : "Denied"} ${show(target)}.`);
  };

  return (
    <section class="approvals" aria-labelledby="approvals-title">
      <h2 id="approvals-title" ref={heading} tabIndex={-1} aria-live="polite">
        {open.length === 1 ? "1 target waits" : `${open.length} targets wait`} for an operator
      </h2>
      {token !== undefined && !mayAnswer && (
        <p class="hint">This token may not answer: that needs one that may operate.</p>
      )}
      <ul>
        {open.slice(0, MAX_SHOWN).map((question) => (
          <Question
            key={question.id}
            question={question}
            choices={mayAnswer ? choices.filter((choice) => choice.for !== "always" || value?.always === true) : []}
            answer={answer}
          />
        ))}
      </ul>
      {open.length > MAX_SHOWN && <p class="hint">and {open.length - MAX_SHOWN} more</p>}
    </section>
  );
}

interface QuestionProps {
  readonly question: OpenApproval;
  readonly choices: readonly Choice[];
  readonly answer: (question: OpenApproval, choice: Choice) => Promise<void>;
}

function Question({ question, choices: offered, answer }: QuestionProps) {
  const { user, client, target, rule, age_ms, waiting } = question;
  const [isBusy, setBusy] = useState(false);
  const say = async (choice: Choice): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    await answer(question, choice);
    setBusy(false);
  };
  return (
    <li>
      <p>
        <b>{show(target)}</b>{" "}
        <span class="hint">
          for {user === undefined ? `client ${show(client)}` : show(user)}, rule {show(rule)}, {formatAge(age_ms)} ago,{" "}
          {waiting === 0 ? "nobody waits now" : `${waiting} ${waiting === 1 ? "waits" : "wait"}`}
        </span>
      </p>
      {offered.length > 0 && (
        <div class="buttons">
          {offered.map((choice) => (
            <button
              key={choice.text}
              type="button"
              class={choice.allow ? "small" : "small danger"}
              title={choice.title}
              aria-label={`${choice.text}: ${show(target)}`}
              aria-disabled={isBusy}
              onClick={() => void say(choice)}
            >
              {choice.text}
            </button>
          ))}
        </div>
      )}
    </li>
  );
}
