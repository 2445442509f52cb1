/** Below it, type stripping or APIs that this program uses are missing. Equal to `engines.node` of package.json. */
export const NODE_VERSION_MIN = "24.6.0";

/** Says what to do when the running Node.js is too old; `undefined` when it will do. */
export function nodeVersionProblem(running: string): string | undefined {
  const [major = 0, minor = 0] = running.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = NODE_VERSION_MIN.split(".").map(Number);
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return undefined;
  return (
    `start skynetes: node.js ${running} is too old, ${NODE_VERSION_MIN} or later is needed; ` +
    "'npm run' and bin/skynetes use the node.js that 'npm ci' installs"
  );
}
