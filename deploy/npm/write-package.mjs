// Writes dist/package.json: the published package has the emitted code and asks for Node 24 by `engines`, so the bundled
// Node of the checkout, its scripts and its development tools stay out.
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";

const { scripts, devDependencies, optionalDependencies, files, bin, exports, ...kept } = JSON.parse(
  readFileSync("package.json", "utf8"),
);
const fromDist = (value) =>
  typeof value === "string"
    ? value.replace("./dist/", "./").replace(/^dist\//, "")
    : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromDist(inner)]));

const published = { ...kept, bin: fromDist(bin), exports: fromDist(exports) };
writeFileSync("dist/package.json", `${JSON.stringify(published, null, 2)}\n`);
for (const file of ["README.md", "CHANGELOG.md", "LICENSE"]) copyFileSync(file, `dist/${file}`);
cpSync("proto", "dist/proto", { recursive: true });
