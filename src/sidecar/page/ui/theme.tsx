import { useState } from "preact/hooks";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const KEY = "penstock.theme";

const names: Readonly<Record<Theme, string>> = { auto: "as the system", light: "light", dark: "dark" };
const signs: Readonly<Record<Theme, string>> = {
  auto: "M10 3a7 7 0 1 0 0 14V3z",
  light:
    "M10 6a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 1v2M10 17v2M1 10h2M17 10h2M3.6 3.6 5 5M15 15l1.4 1.4M3.6 16.4 5 15M15 5l1.4-1.4",
  dark: "M16.5 12.5A7 7 0 0 1 7.5 3.5a7 7 0 1 0 9 9z",
};

function readTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === kept) ?? "auto";
}

/** Shows the page in the theme that was chosen, which is that of the system at first. */
export function applyTheme(theme: Theme = readTheme()): void {
  const { dataset } = document.documentElement;
  if (theme === "auto") delete dataset["theme"];
  else dataset["theme"] = theme;
}

/** Goes through the themes in turn. */
export function ThemeButton({ changed }: { readonly changed: () => void }) {
  const [theme, setTheme] = useState(readTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  return (
    <button
      type="button"
      class="icon"
      aria-label={`Colours: ${names[theme]}. Change to ${names[next]}.`}
      title={`Colours: ${names[theme]}`}
      onClick={() => {
        localStorage.setItem(KEY, next);
        applyTheme(next);
        setTheme(next);
        changed();
      }}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d={signs[theme]} class={theme === "auto" ? "filled" : ""} />
        {theme === "auto" && <circle cx="10" cy="10" r="7" />}
      </svg>
    </button>
  );
}
