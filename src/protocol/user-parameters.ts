/** The parameters in a user name (`alice-session-a1` has `session`), in the order of `auth.parameters`. Without prototype. */
export type UserParameters = Readonly<Record<string, string>>;

/** For functions of the configuration, which need no question mark then. */
export const NO_PARAMETERS: UserParameters = Object.freeze(Object.create(null) as Record<string, string>);

/** The user and the parameters; or what is wrong with the parameters, without text of the client. */
export type NameRead =
  | { readonly ok: true; readonly user: string; readonly parameters: UserParameters | undefined }
  | { readonly ok: false; readonly note: string };

/** Characters of a value. */
export const MAX_PARAMETER_VALUE = 64;

/** No hyphen, which separates; nothing that separates in the user names of other proxies, but dot and underscore. */
const value = /^[A-Za-z0-9._]+$/;

/** Whether a client can send a value. */
export function isParameterValue(text: string): boolean {
  return text.length <= MAX_PARAMETER_VALUE && value.test(text);
}

/**
 * Reads user names that end in parameters: `USER-NAME-VALUE-NAME-VALUE`, in any
 * order, each name at most once. Reads from the end and stops at the first name
 * that is not known, so that users may have hyphens in their names: what is left
 * is the user. Which users exist plays no part in it.
 */
export class UserNames {
  readonly #known: readonly string[];

  /** `known` are the names of the parameters. */
  constructor(known: readonly string[]) {
    this.#known = known;
  }

  read(text: string): NameRead {
    const found = new Map<string, string>();
    let end = text.length;
    for (;;) {
      const valueAt = text.lastIndexOf("-", end - 1);
      const nameAt = valueAt <= 0 ? -1 : text.lastIndexOf("-", valueAt - 1);
      // Before the first parameter there is a user.
      if (nameAt <= 0) break;
      const name = text.slice(nameAt + 1, valueAt);
      if (!this.#known.includes(name)) break;
      const given = text.slice(valueAt + 1, end);
      const fault = found.has(name) ? `the parameter ${name} is there twice` : findValueFault(name, given);
      if (fault !== undefined) return { ok: false, note: fault };
      found.set(name, given);
      end = nameAt;
    }
    if (found.size === 0) return { ok: true, user: text, parameters: undefined };
    return { ok: true, user: text.slice(0, end), parameters: this.#arrange(found) };
  }

  /** One order, whatever the client's was: equal parameters have equal JSON. */
  #arrange(found: ReadonlyMap<string, string>): UserParameters {
    const parameters = Object.create(null) as Record<string, string>;
    for (const name of this.#known) {
      const given = found.get(name);
      if (given !== undefined) parameters[name] = given;
    }
    return Object.freeze(parameters);
  }
}

function findValueFault(name: string, given: string): string | undefined {
  if (isParameterValue(given)) return undefined;
  if (given === "") return `the parameter ${name} is empty`;
  return given.length > MAX_PARAMETER_VALUE
    ? `the parameter ${name} has more than ${MAX_PARAMETER_VALUE} characters`
    : `the parameter ${name} has other characters than letters, digits, dots and underscores`;
}
