// What a call costs through the Node addon. `node napi_call.mjs '{"rounds": 41, "batchSeconds": 0.02, "singles": 4000}'`
// writes {"results": [{name, role, took: [ns of each round], singles: [ns], clock: ns}]} to stdout.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Runtime } from "../../node/dist/src/index.mjs";
import { interleave, Statement } from "./turns.mjs";

const addon = createRequire(import.meta.url)("../../node/plugward.node");
const args = { x: 1 };
const echo = (given) => given;

/** A worker that echoes, and one message there and back. */
function plainWorker() {
  const worker = new Worker(new URL("echo_worker.mjs", import.meta.url));
  let back;
  worker.on("message", (message) => back(message));
  const turn = (message) =>
    new Promise((resolve) => {
      back = resolve;
      worker.postMessage(message);
    });
  return { turn, stop: () => worker.terminate() };
}

async function load(rt) {
  const tools = { echo };
  const reports = [
    await rt.load({ name: "free", tools }),
    await rt.load({ name: "timed", tools, limits: { deadline_ms: 1000 } }),
    ...(await rt.load(fileURLToPath(new URL("echo", import.meta.url)))),
  ];
  const outcomes = [rt.callSync("free", "echo", args), rt.callSync("timed", "echo", args), await rt.call("echo", "echo", args)];
  for (const { error } of reports) if (error) throw new Error(JSON.stringify(error));
  for (const outcome of outcomes) if (!outcome.ok || outcome.result.x !== 1) throw new Error(JSON.stringify(outcome));
}

const rt = new Runtime();
await load(rt);
const plain = plainWorker();
await plain.turn(args);
const results = await interleave(
  [
    new Statement("bare call", "floor", "echo(args)", { echo, args }),
    new Statement("N-API no-op", "floor", "addon.version()", { addon }),
    new Statement("bare await", "floor", "await later(args)", { later: async (given) => given, args }),
    new Statement("callSync, no deadline", "plugward", "rt.callSync('free', 'echo', args)", { rt, args }),
    new Statement("callSync, deadline", "plugward", "rt.callSync('timed', 'echo', args)", { rt, args }),
    new Statement("await call, no deadline", "plugward", "await rt.call('free', 'echo', args)", { rt, args }),
    new Statement("await call, deadline", "plugward", "await rt.call('timed', 'echo', args)", { rt, args }),
    new Statement("worker_threads message and back", "peer", "await turn(args)", { turn: plain.turn, args }),
    new Statement("thread call, deadline", "plugward", "await rt.call('echo', 'echo', args)", { rt, args }),
  ],
  JSON.parse(process.argv[2] ?? '{"rounds": 7, "batchSeconds": 0.005, "singles": 400}'),
);
process.stdout.write(`${JSON.stringify({ node: process.version, results })}\n`);
await plain.stop();
await rt.close();
