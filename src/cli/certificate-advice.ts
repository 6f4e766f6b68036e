import { escapeLines, formatJson } from "../escape-text.ts";

export interface CertificateFiles {
  /** Name or address by which clients reach the proxy, as the certificate has it. */
  readonly name: string;
  /** Paths, as a person would write them. */
  readonly cert: string;
  readonly key: string;
  readonly authority: string;
}

/** Says what to do with a certificate of one's own: in the configuration, and at the clients. */
export function describeTrust({ name, cert, key, authority }: CertificateFiles): string {
  const host = name.includes(":") ? `[${name}]` : name.replace(/^\*/, "proxy");
  return escapeLines(`
Put this into the configuration (beyond loopback it needs "users", too):

  listen: [{ host: "0.0.0.0", port: 8443, tls: { cert: ${formatJson(cert)}, key: ${formatJson(key)} } }],

Clients have to trust ${authority}, never its key:

  curl              curl --proxy https://${host}:8443 --proxy-cacert ${authority} https://example.com
  Debian, Ubuntu    sudo cp ${authority} /usr/local/share/ca-certificates/penstock.crt && sudo update-ca-certificates
  Fedora, RHEL      sudo cp ${authority} /etc/pki/ca-trust/source/anchors/penstock.pem && sudo update-ca-trust
  macOS             sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${authority}
  Windows           certutil -addstore Root ${authority}   (as administrator)
  Chrome on Linux   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n penstock -i ${authority}
  Firefox           Settings, Privacy & Security, View Certificates, Authorities, Import
  Node              NODE_EXTRA_CA_CERTS=${authority}
`);
}
