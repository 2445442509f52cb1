import { Fault } from "../../../fault/fault.ts";
import { type Json, readJson } from "../read-json.ts";

const JSON_TYPE = /^\s*application\/json\s*(?:;(.*))?$/is;
const CHARSET = /(?:^|;)\s*charset\s*=\s*"?([^";\s]*)"?/i;

/** Only JSON is read, whatever a body looks like. Fault `unsupported-media-type`. */
export function checkContentType(contentType: string | undefined): void {
  const match = contentType === undefined ? null : JSON_TYPE.exec(contentType);
  const charset = CHARSET.exec(match?.[1] ?? "")?.[1]?.toLowerCase() ?? "utf-8";
  if (match !== null && (charset === "utf-8" || charset === "utf8")) return;
  const shown = contentType === undefined ? "no content type" : JSON.stringify(contentType.slice(0, 80));
  const advice = contentType?.toLowerCase().startsWith("application/x-www-form-urlencoded")
    ? "; curl -d sends this unless told -H 'content-type: application/json'"
    : "";
  throw new Fault("unsupported-media-type", `read body: application/json in UTF-8 is expected, not ${shown}${advice}`);
}

/** An absent or empty body is an empty request. Faults: `malformed-request`. */
export function readJsonBody(bytes: Buffer | undefined, depthMax: number): Json {
  if (bytes === undefined || bytes.length === 0) return {};
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Fault("malformed-request", "read body: it is not UTF-8", {}, error);
  }
  return readJson(text, depthMax);
}
