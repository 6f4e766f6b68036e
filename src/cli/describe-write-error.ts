import { describeReadError } from "../config/read-file.ts";

/** What went wrong with writing a file, for people; continues a sentence. */
export function describeWriteError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EEXIST":
      return "it is there already. Choose another name, or replace it with --force";
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such folder";
    case "ENOSPC":
    case "EDQUOT":
      return "there is no space left";
    default:
      return describeReadError(error);
  }
}
