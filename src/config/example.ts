// One text for the repository and for "penstock init": it is compiled in.
import text from "../../proxy.config.ts" with { type: "text" };

/** The commented configuration file to begin with. */
export const exampleConfig: string = text as unknown as string;
