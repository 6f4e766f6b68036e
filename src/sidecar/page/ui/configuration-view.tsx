import { useState } from "preact/hooks";
import { show } from "./format.ts";
import { useAnswer } from "./page-state.ts";

const EVERY_MS = 30_000;

/** The configuration in effect, as a tree. Secrets are redacted by the sidecar. */
export function ConfigurationView() {
  const { value, problem } = useAnswer("config", "", EVERY_MS);
  const [wanted, setWanted] = useState("");
  return (
    <>
      <div class="toolbar">
        <h2>Configuration in effect</h2>
        <label class="hidden" for="setting">
          Find a setting
        </label>
        <input
          id="setting"
          type="search"
          placeholder="Find a setting"
          value={wanted}
          onInput={({ currentTarget }) => setWanted(currentTarget.value)}
        />
      </div>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value !== undefined && (
        <div class="tree">
          {Object.entries(value)
            .filter(([name, setting]) => contains(name, setting, wanted.toLowerCase()))
            .map(([name, setting]) => (
              <Node key={name} name={name} value={setting} depth={0} isSought={wanted !== ""} />
            ))}
        </div>
      )}
    </>
  );
}

function contains(name: string, value: unknown, wanted: string): boolean {
  if (wanted === "" || name.toLowerCase().includes(wanted)) return true;
  if (typeof value !== "object" || value === null) return String(value).toLowerCase().includes(wanted);
  return Object.entries(value).some(([key, inner]) => contains(key, inner, wanted));
}

interface NodeProps {
  readonly name: string;
  readonly value: unknown;
  readonly depth: number;
  readonly isSought: boolean;
}

/** Entries of one list or map that are shown. */
const MAX_ENTRIES = 200;

function Node({ name, value, depth, isSought }: NodeProps) {
  const label = <span class="setting">{show(name)}</span>;
  if (typeof value !== "object" || value === null)
    return (
      <p class="leaf">
        {label} <Leaf value={value} />
      </p>
    );
  const entries = Object.entries(value);
  if (entries.length === 0)
    return (
      <p class="leaf">
        {label} <span class="hint">{Array.isArray(value) ? "empty list" : "empty"}</span>
      </p>
    );
  const isShort = entries.every(([, inner]) => typeof inner !== "object") && entries.length <= 4;
  return (
    <details open={isSought || (depth === 0 && entries.length <= 12) || isShort}>
      <summary>
        {label} <span class="hint">{Array.isArray(value) ? `${entries.length} in the list` : `${entries.length}`}</span>
      </summary>
      {entries.slice(0, MAX_ENTRIES).map(([key, inner]) => (
        <Node
          key={key}
          name={Array.isArray(value) ? `${Number(key) + 1}.` : key}
          value={inner}
          depth={depth + 1}
          isSought={isSought}
        />
      ))}
      {entries.length > MAX_ENTRIES && <p class="hint">and {entries.length - MAX_ENTRIES} more</p>}
    </details>
  );
}

function Leaf({ value }: { readonly value: unknown }) {
  if (typeof value === "string") return <span class="text">{show(value)}</span>;
  return <span class="value">{String(value)}</span>;
}
