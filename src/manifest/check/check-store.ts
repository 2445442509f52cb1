import type { MeshDocument } from "../schema/mesh-schema.ts";
import { checkSource } from "./check-log.ts";
import type { Drafted, Report } from "./drafts.ts";

/** What servers of the MySQL protocol allow. */
const DATABASE_NAME_MAX = 64;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** Users of a store and the names of its databases. */
export function checkStore({ source, draft }: Drafted<MeshDocument>, report: Report): void {
  const mysql = draft.spec?.store?.mysql;
  if (mysql === undefined) return;
  const path = ["spec", "store", "mysql"];
  for (const role of ["bootstrap", "ingest", "service"] as const) {
    const from = mysql.users?.[role]?.passwordFrom;
    checkSource(from, (message) => report(source, [...path, "users", role, "passwordFrom"], message));
  }
  if (mysql.host !== undefined && !LOOPBACK.test(mysql.host) && mysql.tls === undefined) {
    report(source, [...path, "host"], "is another machine, so tls is needed: passwords and rows would be readable");
  }
  if (mysql.database === undefined) return;
  const shards = draft.spec?.shards ?? 1;
  for (const node of draft.spec?.nodes ?? []) {
    const name = `${mysql.database}_data_${node?.name ?? ""}_${shards - 1}`;
    if (name.length <= DATABASE_NAME_MAX) continue;
    report(source, [...path, "database"], `makes ${JSON.stringify(name)}, longer than ${DATABASE_NAME_MAX} characters`);
  }
}
