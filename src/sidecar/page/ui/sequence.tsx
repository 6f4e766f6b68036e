import { formatBytes } from "../../../proxy/record/access-line.ts";
import { NOTHING, show } from "./format.ts";
import type { HandshakeMessage, TunnelDetails } from "./wire.ts";

/** The TLS handshake as a sequence diagram, as `penstock trace` draws it: times on the left, life lines, sizes on the right. */
export function Sequence({ details }: { readonly details: TunnelDetails }) {
  const { messages, hidden } = details.handshake;
  if (messages.length === 0)
    return hidden === undefined ? null : (
      <section aria-labelledby="handshake">
        <h3 id="handshake">Handshake</h3>
        <p class="hint">{show(hidden)}</p>
      </section>
    );
  return (
    <section aria-labelledby="handshake">
      <h3 id="handshake">Handshake</h3>
      <div class="sequence">
        <p class="parties" aria-hidden="true">
          <span>client</span>
          <span>{show(details.tls?.sni ?? details.target)}</span>
        </p>
        <ol>
          {messages.map((message, index) => (
            <Message key={index} message={message} />
          ))}
        </ol>
      </div>
      <p class="hint">
        {messages.some(({ encrypted }) => encrypted) && "{…} is encrypted on the wire. "}
        {hidden !== undefined && show(hidden)}
      </p>
    </section>
  );
}

function Message({ message }: { readonly message: HandshakeMessage }) {
  const { from, name, bytes, at_ms, encrypted } = message;
  const way = from === "client" ? "client to server" : "server to client";
  const shown = show(name);
  return (
    <li class={from}>
      <span class="at">
        {Number.isFinite(at_ms) ? at_ms.toFixed(1) : NOTHING}
        <span class="hidden"> ms, </span>
      </span>
      <span class="lane">
        <span class="message">{encrypted === true ? `{${shown}}` : shown}</span>
        <span class="hidden">, {way}, </span>
      </span>
      <span class="size">{formatBytes(bytes)}</span>
    </li>
  );
}
