// A child process that sends back what it is sent, timed on demand: one line {"number", "singles"} in, one line out.
import { fork } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

if (process.send && process.argv[2] === "child") {
  process.on("message", (message) => process.send(message.size === undefined ? message : { first: message.frame[0] }));
} else {
  const child = fork(fileURLToPath(import.meta.url), ["child"], { serialization: "advanced" });
  const size = Number(process.argv[2]);
  const message = size > 1e5 ? { size, frame: new Uint8Array(size) } : { text: "x".repeat(size) };
  const call = () => new Promise((resolve) => { child.once("message", resolve); child.send(message); });
  for await (const line of createInterface({ input: process.stdin })) {
    const { number } = JSON.parse(line);
    const took = [];
    for (let n = 0; n < number; n++) {
      const begun = process.hrtime.bigint();
      await call();
      took.push(Number(process.hrtime.bigint() - begun));
    }
    process.stdout.write(JSON.stringify(took) + "\n");
  }
  child.disconnect();
}
