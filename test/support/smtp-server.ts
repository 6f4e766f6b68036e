/** A mail server that speaks first (RFC 5321 §3.1) and keeps what it is given. */
export interface SmtpServer extends Disposable {
  readonly port: number;
  /** The mails received, with line feeds alone. */
  readonly mails: string[];
}

interface Exchange {
  text: string;
  inData: boolean;
}

export function startSmtpServer(): SmtpServer {
  const mails: string[] = [];
  const server = Bun.listen<Exchange>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "", inData: false };
        socket.write("220 mail.test ready\r\n");
      },
      data(socket, chunk) {
        const exchange = socket.data;
        exchange.text += chunk.toString("latin1");
        for (;;) {
          const end = exchange.text.indexOf(exchange.inData ? "\r\n.\r\n" : "\r\n");
          if (end < 0) return;
          const part = exchange.text.slice(0, end);
          exchange.text = exchange.text.slice(end + (exchange.inData ? 5 : 2));
          if (exchange.inData) mails.push(part.replaceAll("\r\n", "\n"));
          socket.write(`${answer(part, exchange)}\r\n`);
          if (part.toUpperCase() === "QUIT") socket.end();
        }
      },
    },
  });
  return { port: server.port, mails, [Symbol.dispose]: () => server.stop(true) };
}

function answer(command: string, exchange: Exchange): string {
  if (exchange.inData) {
    exchange.inData = false;
    return "250 taken";
  }
  switch (command.split(" ")[0]?.toUpperCase()) {
    case "DATA":
      exchange.inData = true;
      return "354 go on";
    case "QUIT":
      return "221 bye";
    default:
      return "250 mail.test";
  }
}
