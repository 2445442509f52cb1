/**
 * One immutable build of a service, named `<service>-<label>-<hash8>`. The name is subset name, pod label and header
 * value at once, so it is a DNS label of at most 40 characters.
 */
export type ServiceVersionName = string & { readonly __brand: "ServiceVersionName" };

const PATTERN = /^[a-z]([-a-z0-9]{0,30})-[0-9a-f]{8}$/;

/** Returns the name, or `undefined` when the text is not one. */
export function serviceVersionName(text: string): ServiceVersionName | undefined {
  return PATTERN.test(text) ? (text as ServiceVersionName) : undefined;
}

export const SERVICE_VERSION_RULE = "<service>-<label>-<hash8>: a-z, 0-9 and '-', at most 40, ending in 8 hex digits";
