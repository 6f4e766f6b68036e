/**
 * Makes a Bun socket of a descriptor that is already connected, or connecting.
 * The socket owns the descriptor from then on.
 */
export function adoptDescriptor<Data = undefined>(options: Bun.FdSocketOptions<Data>): Promise<Bun.Socket<Data>> {
  // The declarations of Bun 1.4.5 describe these options but have no overload that takes them.
  return Bun.connect<Data>(options as unknown as Bun.UnixSocketOptions<Data>);
}
