import type { RouteTable } from "../../wire/generated/skynetes/v1/table_pb.ts";

/** A header value as gRPC and Istio take it, and no list. */
const NODE = /^[\x21-\x7e]+$/;
/** A name or an IPv4 address, or an IPv6 address in brackets; a scheme or a path is something else. */
const HOST_PORT = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/;

/** Whatever calls could not be sent by: better no table than one under which they fail. */
export function checkEndpoints(table: RouteTable, report: (pointer: string, detail: string) => void): void {
  for (const [s, { placements }] of table.shards.entries()) {
    for (const [p, { node, endpoints }] of placements.entries()) {
      const at = `/shards/${s}/placements/${p}`;
      if (!NODE.test(node)) report(`${at}/node`, `"${node}" is not one or more visible ASCII characters`);
      for (const [e, { address }] of endpoints.entries()) {
        if (!isHostPort(address)) report(`${at}/endpoints/${e}/address`, `"${address}" is not host:port`);
      }
    }
  }
}

function isHostPort(address: string): boolean {
  const port = Number(HOST_PORT.exec(address)?.[1] ?? 0);
  return port > 0 && port < 0x10000;
}
