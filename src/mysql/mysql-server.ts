import type { MySqlDialect } from "../mesh/store-spec.ts";

/** A server and what is needed to come in; secrets are in it, so it is never printed. */
export interface MySqlServer {
  readonly host: string;
  readonly port: number;
  readonly dialect: MySqlDialect;
  readonly tls: MySqlTls | undefined;
}

export interface MySqlTls {
  /** PEM of the authorities that may vouch for the server; absent: those that Node knows. */
  readonly ca: string | undefined;
}

export interface MySqlLogin {
  readonly user: string;
  readonly password: string;
}

/** `user@host:port`, for messages. */
export function placeOf({ host, port }: MySqlServer, { user }: MySqlLogin): string {
  return `${user}@${host}:${port}`;
}
