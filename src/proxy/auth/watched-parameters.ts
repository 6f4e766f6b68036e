import type { UserParameters } from "../../protocol/user-parameters.ts";

/** Parameters that know whether somebody looked at them: an answer without a look holds for all others, too. */
export class WatchedParameters {
  readonly shown: UserParameters;
  #seen = false;

  constructor(parameters: UserParameters) {
    const see = <Found>(found: Found): Found => {
      this.#seen = true;
      return found;
    };
    this.shown = new Proxy(parameters, {
      get: (target, name) => see(Reflect.get(target, name)),
      has: (target, name) => see(Reflect.has(target, name)),
      ownKeys: (target) => see(Reflect.ownKeys(target)),
      getOwnPropertyDescriptor: (target, name) => see(Reflect.getOwnPropertyDescriptor(target, name)),
    });
  }

  get seen(): boolean {
    return this.#seen;
  }
}
