import { Fault } from "../fault/fault.ts";
import { dataDirectory } from "../up/control/data-directory.ts";
import { type Endpoints, readEndpoints } from "../up/endpoints-file.ts";
import { absolute } from "./options.ts";

/** The running mesh of a data directory, as `up` announced it. Fault `not-ready` when none did. */
export function findEndpoints(dataDir: string, flag: string): Endpoints {
  const file = dataDirectory(absolute(dataDir)).endpointsFile;
  const found = readEndpoints(file);
  if (found === undefined) {
    throw new Fault(
      "not-ready",
      `find the mesh of ${dataDir}: none runs there; start it with 'skynetes up', or name another with ${flag} or --data-dir`,
    );
  }
  return found;
}
