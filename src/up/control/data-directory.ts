import { join } from "node:path";

/** Where an embedded mesh keeps what it has. The layout is a contract with the other commands. */
export interface DataDirectory {
  readonly root: string;
  readonly log: string;
  readonly archive: string;
  node(name: string): string;
  /** What services keep of the snapshots that they have read; may be deleted at any time. */
  readonly scans: string;
  readonly lockFile: string;
  readonly manifestFile: string;
  readonly stateFile: string;
  readonly tableFile: string;
  readonly endpointsFile: string;
  readonly childrenFile: string;
}

export function dataDirectory(root: string): DataDirectory {
  const control = join(root, "control");
  return {
    root,
    log: join(root, "log"),
    archive: join(root, "archive"),
    node: (name) => join(root, "nodes", name),
    scans: join(root, "scans"),
    lockFile: join(control, "up.lock"),
    manifestFile: join(control, "manifest.json"),
    stateFile: join(control, "state.json"),
    tableFile: join(control, "table.json"),
    endpointsFile: join(control, "endpoints.json"),
    childrenFile: join(control, "children.json"),
  };
}
