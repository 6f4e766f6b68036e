import { useEffect, useRef, useState } from "preact/hooks";

interface Question {
  readonly text: string;
  readonly action: string;
  readonly act: () => Promise<void>;
}

export interface Confirmation {
  readonly question: Question | undefined;
  readonly ask: (text: string, action: string, act: () => Promise<void>) => void;
  readonly close: () => void;
}

/** Asks before something is done that cannot be undone. */
export function useConfirm(): Confirmation {
  const [question, setQuestion] = useState<Question | undefined>(undefined);
  return {
    question,
    ask: (text, action, act) => setQuestion({ text, action, act }),
    close: () => setQuestion(undefined),
  };
}

/** The question. The browser keeps the focus in it, and gives it back afterwards. */
export function Confirm({ question, close }: Confirmation) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    if (question !== undefined) dialog.current?.showModal();
  }, [question]);
  if (question === undefined) return null;
  const act = async (): Promise<void> => {
    setBusy(true);
    await question.act();
    setBusy(false);
    dialog.current?.close();
  };
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="question" onClose={close}>
      <p id="question">{question.text}</p>
      <div class="buttons">
        <button type="button" autofocus onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="danger" aria-disabled={isBusy} onClick={() => void (isBusy ? undefined : act())}>
          {question.action}
        </button>
      </div>
    </dialog>
  );
}
