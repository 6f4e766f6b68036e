/** What is looked at inside tunnels beyond what rules demand. */
export interface InspectSettings {
  /** First bytes and TLS handshakes, for records and metrics. */
  readonly tls: boolean;
  /** JA3 fingerprints beside JA4. */
  readonly ja3: boolean;
}
