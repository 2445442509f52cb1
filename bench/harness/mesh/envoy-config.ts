/** Configurations of two Envoys as a mesh would write them, as far as the data path goes. JSON is YAML enough. */
import { ROUTE_HEADERS } from "../../../src/mesh/route-headers.ts";
import { portOf } from "../../../src/process/ready-line.ts";
import type { ServedPod } from "../service/pod-process.ts";
import { nodeOf, VERSION } from "./bench-names.ts";

const API = "type.googleapis.com/envoy.extensions";
const HOST = "127.0.0.1";

export interface EnvoyCluster {
  readonly name: string;
  readonly port: number;
}

/** Before the services: a listener a pod, which passes everything to it. */
export function inboundConfig(pods: readonly ServedPod[]): object {
  const routes = (pod: ServedPod) => [{ match: { prefix: "/" }, route: { cluster: clusterOf(pod), timeout: "0s" } }];
  return envoyConfig(
    pods.map((pod) => listener(clusterOf(pod), routes(pod))),
    pods.map((pod) => ({ name: clusterOf(pod), port: portOf(pod.address) })),
  );
}

/**
 * Beside the gateway: a listener a shard, as each shard is a service of its own, that routes by version and placement;
 * what names neither is refused. No route timeout, no retries: those are the gateway's.
 */
export function outboundConfig(pods: readonly ServedPod[], inboundPortOf: (pod: ServedPod) => number): object {
  const exact = (name: string, value: string) => ({ name, string_match: { exact: value } });
  const shards = [...new Set(pods.map(({ shard }) => shard))];
  const routes = (shard: number) =>
    pods
      .filter((pod) => pod.shard === shard)
      .map((pod) => ({
        match: {
          prefix: "/",
          headers: [
            exact(ROUTE_HEADERS.version, VERSION),
            exact(ROUTE_HEADERS.placement, nodeOf(pod.shard, pod.placement)),
          ],
        },
        route: { cluster: clusterOf(pod), timeout: "0s" },
      }));
  return envoyConfig(
    shards.map((shard) => listener(shardListener(shard), routes(shard))),
    pods.map((pod) => ({ name: clusterOf(pod), port: inboundPortOf(pod) })),
  );
}

export function clusterOf(pod: ServedPod): string {
  return nodeOf(pod.shard, pod.placement);
}

export function shardListener(shard: number): string {
  return `shard-${shard}`;
}

function envoyConfig(listeners: readonly object[], clusters: readonly EnvoyCluster[]): object {
  return {
    admin: { address: address(0) },
    static_resources: { listeners, clusters: clusters.map(cluster) },
  };
}

function listener(name: string, routes: readonly object[]): object {
  const manager = {
    "@type": `${API}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    codec_type: "AUTO",
    route_config: { virtual_hosts: [{ name, domains: ["*"], routes }] },
    http_filters: [
      { name: "envoy.filters.http.router", typed_config: { "@type": `${API}.filters.http.router.v3.Router` } },
    ],
  };
  const filter = { name: "envoy.filters.network.http_connection_manager", typed_config: manager };
  return { name, address: address(0), filter_chains: [{ filters: [filter] }] };
}

function cluster({ name, port }: EnvoyCluster): object {
  return {
    name,
    connect_timeout: "5s",
    type: "STATIC",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": `${API}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  };
}

function address(port: number): object {
  return { socket_address: { address: HOST, port_value: port } };
}
