// A child for the supervisor's tests: `server.mjs <port> <log of starts>`; ready with a real port, ends with its stdin.
import { appendFileSync } from "node:fs";
import { createServer } from "node:net";

const [port, journal, mode] = process.argv.slice(2);
appendFileSync(journal, `start ${process.pid} ${port}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
process.stdin.unref();
process.on("SIGTERM", () => {
  appendFileSync(journal, `term ${process.pid}\n`);
  if (mode !== "stubborn") process.exit(0);
});
process.on("SIGINT", () => {});
if (mode === "misconfigured") {
  process.stderr.write('{"level":"error","message":"no such table"}\n');
  process.exit(78);
} else if (mode === "silent") setInterval(() => {}, 1000);
else {
  const server = createServer();
  server.on("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  server.listen(Number(port), "127.0.0.1", () => {
    process.stderr.write('{"level":"info","message":"hello from the child","port":1}\nplain words\n');
    process.stdout.write(`noise\n{"ready":{"address":"127.0.0.1:${server.address().port}"}}\n`);
  });
}
