import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface BrokerCertificate {
  /** PKCS #12 with the broker's key, for Java. */
  readonly keyStore: string;
  readonly password: string;
  /** PEM of the authority that signed it, for clients. */
  readonly authority: string;
}

/** An authority of our own and a certificate for the broker at 127.0.0.1 under the name `localhost`, valid for a day. */
export function makeBrokerCertificate(directory: string): BrokerCertificate {
  const at = (name: string) => join(directory, name);
  const password = "changeit";
  const key = ["-newkey", "rsa:2048", "-nodes", "-sha256"];
  openssl([
    ...["req", "-x509", ...key, "-days", "1", "-subj", "/CN=skynetes test authority"],
    ...["-keyout", at("authority.key"), "-out", at("authority.pem")],
  ]);
  openssl(["req", ...key, "-subj", "/CN=localhost", "-keyout", at("broker.key"), "-out", at("broker.csr")]);
  writeFileSync(at("names"), "subjectAltName=DNS:localhost");
  openssl([
    ...["x509", "-req", "-days", "1", "-sha256", "-in", at("broker.csr"), "-out", at("broker.pem")],
    ...["-CA", at("authority.pem"), "-CAkey", at("authority.key"), "-CAcreateserial", "-extfile", at("names")],
  ]);
  openssl([
    ...["pkcs12", "-export", "-in", at("broker.pem"), "-inkey", at("broker.key"), "-certfile", at("authority.pem")],
    ...["-name", "broker", "-out", at("broker.p12"), "-passout", `pass:${password}`],
  ]);
  return { keyStore: at("broker.p12"), password, authority: at("authority.pem") };
}

function openssl(argv: readonly string[]): void {
  execFileSync("openssl", argv, { stdio: ["ignore", "ignore", "pipe"] });
}
