import type { Tunnel, TunnelEnd, TunnelResult } from "../../src/proxy/flow/tunnel.ts";

/** A tunnel that carries nothing: its bytes are set by hand, and it remembers how it was killed. */
export class FakeTunnel implements Tunnel {
  readonly done: Promise<TunnelResult> = new Promise(() => {});
  readonly kills: TunnelEnd[] = [];
  up: number;
  down: number;

  constructor(up = 0, down = 0) {
    this.up = up;
    this.down = down;
  }

  bytes(): { up: number; down: number } {
    return { up: this.up, down: this.down };
  }

  kill(end: "killed" | "drained"): void {
    this.kills.push(end);
  }
}
