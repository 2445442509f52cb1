import type { DescService } from "@bufbuild/protobuf";
import { Fault } from "../fault/fault.ts";
import { faultFromUnknown } from "../fault/fault-from-unknown.ts";
import type { ServiceDefinition } from "./define-service.ts";

/** A definition of any service; `serveService` takes it as it is. */
export type AnyServiceDefinition = ServiceDefinition<DescService, unknown>;

/** A module's default export may be made from the environment, so that versions differ by configuration alone. */
export type DefinitionFactory = (environment: Readonly<Record<string, string | undefined>>) => AnyServiceDefinition;

/**
 * The service definition that a loaded module exports by default: itself, or what a function of the environment
 * returns. Fault `invalid-service`: the module exports neither.
 */
export function definitionOfModule(
  module: unknown,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): AnyServiceDefinition {
  const exported = (module as { readonly default?: unknown } | null)?.default;
  const definition = typeof exported === "function" ? made(exported as DefinitionFactory, file, environment) : exported;
  if (isDefinition(definition)) return definition;
  const message = `load service module "${file}": its default export is neither a service definition nor a function that returns one`;
  throw new Fault("invalid-service", message);
}

function made(factory: DefinitionFactory, file: string, environment: Parameters<DefinitionFactory>[0]): unknown {
  try {
    return factory(environment);
  } catch (error) {
    const fault = faultFromUnknown(error, `load service module "${file}"`);
    throw fault.id === "internal" ? new Fault("invalid-service", fault.message, {}, error) : fault;
  }
}

function isDefinition(value: unknown): value is AnyServiceDefinition {
  const candidate = value as Partial<AnyServiceDefinition> | null | undefined;
  return (
    typeof candidate === "object" &&
    candidate !== null &&
    candidate.service?.kind === "service" &&
    typeof candidate.load === "function" &&
    typeof candidate.methods === "object"
  );
}
