/** What makes chunks one after the other. */
interface ChunkSource {
  /** The next chunk; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** The client left before the end. */
  stop(): void;
}

/** The media type of server-sent events. */
export const EVENT_STREAM = "text/event-stream; charset=utf-8";

/** A body of chunks. Each is made when the client takes it, and not before: a client that reads nothing costs nothing. */
export function streamChunks(source: ChunkSource): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await source.next();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel() {
        source.stop();
      },
    },
    { highWaterMark: 0 },
  );
}

/** An answer of server-sent events, which reverse proxies are asked not to gather. */
export function answerEventStream(source: ChunkSource): Response {
  return new Response(streamChunks(source), {
    headers: { "Content-Type": EVENT_STREAM, "Transfer-Encoding": "chunked", "X-Accel-Buffering": "no" },
  });
}
