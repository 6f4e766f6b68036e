import { useEffect, useRef, useState } from "preact/hooks";
import { type ChartLine, drawChart } from "./draw-chart.ts";
import { formatTime, NOTHING } from "./format.ts";

interface ChartProps {
  /** What a screen reader calls it. */
  readonly label: string;
  readonly lines: readonly ChartLine[];
  readonly steps: number;
  readonly stepMs: number;
  readonly until: number;
  /** Changes when it has to be drawn again though its data are the same. */
  readonly look: string;
  readonly tall?: boolean;
}

/** A chart over time. Pointer and arrow keys move a cursor, whose values are told in text. */
export function Chart({ label, lines, steps, stepMs, until, look, tall }: ChartProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cursor, setCursor] = useState<number | undefined>(undefined);
  const [size, setSize] = useState(0);
  const known = lines[0]?.values.length ?? 0;
  const withSeconds = stepMs < 60_000;
  const spec = { lines, steps, stepMs, until, cursor, formatTime: (at: number) => formatTime(at, false) };

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setSize(element.clientWidth * 10_000 + element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current !== null) drawChart(canvas.current, spec);
  }, [lines, steps, until, cursor, size, look]);

  const at = cursor ?? 0;
  const clamp = (step: number): number => Math.max(0, Math.min(known - 1, step));
  const point = (event: PointerEvent): void => {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined || known === 0) return;
    setCursor(clamp(Math.round((1 - (event.clientX - box.left) / box.width) * (steps - 1))));
  };
  const press = (event: KeyboardEvent): void => {
    const far = Math.round(steps / 15);
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: at + 1,
      ArrowRight: at - 1,
      PageUp: at + far,
      PageDown: at - far,
      Home: known - 1,
      End: 0,
    };
    const next = moves[event.key];
    if (event.key === "Escape") setCursor(undefined);
    if (next === undefined) return;
    event.preventDefault();
    setCursor(clamp(next));
  };
  const time = formatTime(until - at * stepMs, withSeconds);
  const values = lines.map(({ name, values: column, format }) => {
    const value = column[column.length - 1 - at];
    return `${name} ${value === null || value === undefined ? NOTHING : format(value)}`;
  });

  return (
    <div
      class={tall === true ? "chart tall" : "chart"}
      role="slider"
      tabIndex={0}
      aria-label={`${label}. Arrow keys move through time.`}
      aria-valuemin={-Math.max(known - 1, 0)}
      aria-valuemax={0}
      aria-valuenow={-at}
      aria-valuetext={`${time}: ${values.join(", ")}`}
      onPointerMove={point}
      onPointerDown={point}
      onPointerLeave={() => setCursor(undefined)}
      onBlur={() => setCursor(undefined)}
      onKeyDown={press}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {cursor !== undefined && (
        <p class="readout" aria-hidden="true">
          <time>{time}</time>
          {lines.map((line, index) => (
            <span key={line.name} class={`key ${line.colour.slice(2)}`}>
              {values[index]}
            </span>
          ))}
        </p>
      )}
    </div>
  );
}
