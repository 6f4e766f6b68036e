/** Loaded before a program: has it believe that it runs on the platform that a variable names. */
Object.defineProperty(process, "platform", { value: process.env["PRETENDED_PLATFORM"] });
