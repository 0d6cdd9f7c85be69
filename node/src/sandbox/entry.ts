/**
 * A worker that runs one script sandbox: the file that `PluginWorker` starts for scripts.
 *
 * This realm only ever evaluates scripts and moves strings. It never looks into a value that came
 * from the context: a getter, a proxy or a call site would see this realm's objects.
 */
import { parentPort, workerData } from "node:worker_threads";
import { setTimeout, clearTimeout } from "node:timers";
import * as vm from "node:vm";
import { guardHeap } from "../worker/heap";
import { kernel } from "../worker/kernel";
import type { PluginContext, ToWorker } from "../worker/protocol";
import { inside } from "./inside";
import { harden } from "./harden";
import { refusal } from "./source";

/** A request of the main thread to a sandbox. */
export type ToSandbox =
  | { readonly op: "script"; readonly id: number; readonly source: string; readonly filename: string }
  | { readonly op: "plugin"; readonly id: number; readonly source: string; readonly filename: string; readonly plugin: PluginContext }
  | ToWorker;

guardHeap(workerData);
const port = parentPort;
if (!port) throw new Error("the sandbox entry runs in a worker only");
const send = port.postMessage.bind(port);
const quote = JSON.stringify;
const later = setTimeout;
const cancel = clearTimeout;
const Script = vm.Script;
const RUN = Object.freeze({ __proto__: null, displayErrors: false }) as unknown as vm.RunningScriptOptions;

const context = vm.createContext(Object.create(null) as vm.Context, {
  name: "plugward sandbox",
  codeGeneration: { strings: false, wasm: false },
  // Its own microtask queue, drained by each evaluation: after one returns, everything that could
  // run has run, so the outbox can be read without a callback out of the context.
  microtaskMode: "afterEvaluate",
});

function evaluate(source: string, filename: string): unknown {
  const options = { __proto__: null, filename } as unknown as vm.ScriptOptions;
  return new Script(source, options).runInContext(context, RUN);
}

evaluate(`"use strict"; const __plugward = (${inside.toString()})(${kernel.toString()});`, "plugward:inside");
const steps = evaluate("__plugward", "plugward:steps") as {
  settle(id: number, value: unknown): void;
  fail(id: number, loading: boolean, error: unknown): void;
  crash(error: unknown): void;
};
// Taken once, before any foreign code: later the context might answer something else.
const { settle, fail, crash } = steps;

let timer: NodeJS.Timeout | undefined;

function flush(): void {
  let text: unknown;
  try {
    text = evaluate("__plugward.flush()", "plugward:flush");
  } catch {
    text = undefined;
  }
  if (typeof text !== "string") return; // the plugin broke its own realm: its calls end at their deadline
  if (!text.endsWith("|[]")) send(text);
  cancel(timer);
  const wait = text.slice(0, text.indexOf("|"));
  if (wait !== "") timer = later(() => step("__plugward.tick()"), Number(wait));
}

function step(source: string): void {
  try {
    evaluate(source, "plugward:step");
  } catch {
    // Only a realm that its plugin has broken throws here; what it threw is not looked at.
  }
  flush();
}

function run(request: Extract<ToSandbox, { op: "script" | "plugin" }>): boolean {
  const loading = request.op === "plugin";
  const reason = refusal(request.source);
  if (reason !== undefined) {
    fail(request.id, loading, evaluate(`new Error(${quote(reason)})`, "plugward:refusal"));
    return false;
  }
  let script: vm.Script;
  try {
    script = compile(request.source, request.filename);
  } catch (error) {
    fail(request.id, loading, evaluate(`new SyntaxError(${quote((error as Error).message)})`, "plugward:syntax"));
    return false;
  }
  try {
    const completion: unknown = script.runInContext(context, RUN);
    if (!loading) settle(request.id, completion);
    return true;
  } catch (error) {
    fail(request.id, loading, error);
    return false;
  }
}

/** A snippet may `return` and `await` at its top level: it is then run as an async function's body. */
function compile(source: string, filename: string): vm.Script {
  const options = { __proto__: null, filename } as unknown as vm.ScriptOptions;
  try {
    return new Script(source, options);
  } catch (error) {
    try {
      return new Script(`(async function () {${source}\n}).call(undefined)`, options);
    } catch {
      throw error;
    }
  }
}

function receive(request: ToSandbox): void {
  if (request.op === "script") {
    evaluate("__plugward.begin()", "plugward:begin");
    run(request);
    step("0");
  } else if (request.op === "plugin") {
    const plugin = quote(quote(request.plugin));
    if (run(request)) step(`__plugward.load(typeof Plugin === "undefined" ? undefined : Plugin, ${request.id}, ${plugin})`);
    else step("0");
  } else {
    step(`__plugward.turn(${quote(quote(request))})`);
  }
}

function blame(error: unknown): void {
  try {
    crash(error);
  } catch {
    // As in `step`.
  }
  flush();
}

process.on("unhandledRejection", blame);
process.on("uncaughtException", blame);
port.on("message", receive);
harden();
