import { show } from "./format.ts";
import { useAnswer } from "./page-state.ts";
import type { CertificatesAnswer } from "./wire.ts";

const EVERY_MS = 60_000;
/** Days left from which an end is told in colour. */
const SOON = 30;
const VERY_SOON = 7;

/** Certificates of listeners and of the sidecar, with the days that are left. */
export function CertificatesView() {
  const { value, problem } = useAnswer("certificates", "", EVERY_MS);
  return (
    <>
      <h2>Certificates</h2>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value?.certificates.length === 0 && <p class="waiting">No listener has TLS.</p>}
      <ul class="certificates">
        {value?.certificates.map((certificate) => (
          <Certificate key={`${certificate.used_by} ${certificate.file}`} {...certificate} />
        ))}
      </ul>
    </>
  );
}

function Certificate({
  used_by,
  file,
  names,
  issuer,
  not_before,
  not_after,
  days,
  warnings,
}: CertificatesAnswer["certificates"][number]) {
  const tone = days < VERY_SOON ? "bad" : days < SOON ? "warn" : "good";
  return (
    <li>
      <p class={`days ${tone}`}>
        <b>{days}</b> {days === 1 ? "day" : "days"} <span class="hint">{days < 0 ? "has ended" : "left"}</span>
      </p>
      <div>
        <h3>{names.map((name) => show(name)).join(", ") || "no name"}</h3>
        <dl class="facts">
          <div>
            <dt>Used by</dt>
            <dd>{show(used_by)}</dd>
          </div>
          <div>
            <dt>Issuer</dt>
            <dd>{show(issuer)}</dd>
          </div>
          <div>
            <dt>Valid</dt>
            <dd>
              {not_before.slice(0, 10)} to {not_after.slice(0, 10)}
            </dd>
          </div>
          <div>
            <dt>File</dt>
            <dd>{show(file)}</dd>
          </div>
        </dl>
        {warnings.map((warning) => (
          <p key={warning} class="problem">
            {show(warning)}
          </p>
        ))}
      </div>
    </li>
  );
}
