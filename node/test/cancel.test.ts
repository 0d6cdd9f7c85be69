/** Callers that leave: `{ signal }` of every call, in every isolation. Real workers, real processes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { EventEmitter, getEventListeners, once } from "node:events";
import { join } from "node:path";
import { after, test } from "node:test";
import { type CallContext, Code, type Failure, type Outcome, PluginHost, PlugwardError, Runtime, ToolRunner } from "plugward";
import { folder, modulePlugin, until } from "./fixtures";

const skip = process.platform === "linux" ? false : "worker processes are for Linux";
const runtimes: Runtime[] = [];
after(() => Promise.all(runtimes.map((rt) => rt.close())));

function fresh(): Runtime {
  const rt = new Runtime({ loadTimeoutMs: 60_000 });
  runtimes.push(rt);
  return rt;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function cancelled(outcome: Outcome, effect: string): Failure {
  assert.ok(!outcome.ok, JSON.stringify(outcome));
  assert.deepEqual([outcome.code, outcome.error_type, outcome.effect], [Code.CallCancelled, "Cancelled", effect], JSON.stringify(outcome));
  return outcome;
}

const CODE = `
  let heard = 0, begun = 0;
  const begin = (tool) => { begun++; (globalThis.told ?? console.log)("begun " + tool); };
  module.exports = class {
    async polite(_, { signal }) { begin("polite"); await new Promise((resolve) => signal.addEventListener("abort", resolve)); heard++; return signal.aborted; }
    throws(_, { signal }) { begin("throws"); return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))); }
    never() { begin("never"); return new Promise(() => {}); }
    async spin() { begin("spin"); await 0; for (;;); }
    async later({ ms }) { begin("later"); await new Promise((resolve) => setTimeout(resolve, ms)); return ms; }
    seen() { return { heard, begun, pid: process.pid }; }
  };
`;

interface Seen {
  readonly heard: number;
  readonly begun: number;
  readonly pid: number;
}

async function loaded(name: string, isolation: string, more: object = {}): Promise<Runtime> {
  const rt = fresh();
  const limits = { concurrency: 4, queue: 16, deadline_ms: 30_000 };
  const [report] = await rt.load(modulePlugin(name, CODE, { isolation, limits, ...more }));
  assert.equal(report?.error, null, JSON.stringify(report));
  return rt;
}

async function seen(rt: Runtime, name: string): Promise<Seen & { readonly generation: number }> {
  const outcome = await rt.call<Seen>(name, "seen");
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return { ...outcome.result, generation: outcome.generation };
}

/** What a module plugin says when a tool begins: here where it runs on this thread, else in its output. */
const here: string[] = [];
Object.assign(globalThis, { told: (line: string) => here.push(line) });

/** How often a tool of a module plugin has begun. */
function begun(rt: Runtime, name: string, tool: string): number {
  const lines = rt.recentLogs().filter(({ plugin }) => plugin === name).map(({ message }) => message);
  return [...here, ...lines].filter((line) => line === `begun ${tool}`).length;
}

/** Begins a call, lets its caller leave once it runs or `ready` says so, and answers its outcome. */
async function left(rt: Runtime, name: string, tool: string, deadlineMs = 30_000, ready?: () => boolean): Promise<Outcome> {
  const controller = new AbortController();
  const before = begun(rt, name, tool);
  const call = rt.call(name, tool, {}, { signal: controller.signal, deadlineMs });
  await until(ready ?? (() => begun(rt, name, tool) > before));
  controller.abort();
  const outcome = await call;
  assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  return outcome;
}

function unblamed(rt: Runtime, name: string): void {
  const health = rt.pluginHealth(name);
  assert.deepEqual([health?.error_count, health?.quarantined], [0, false], JSON.stringify(health));
}

test("a signal that is aborted already begins nothing", async () => {
  const rt = fresh();
  let begun = 0;
  const plugin = { name: "counts", tools: { go: () => (begun += 1) } };
  await rt.load(plugin);
  const signal = AbortSignal.abort();
  const refused = cancelled(await rt.call("counts", "go", {}, { signal }), "not_started");
  assert.deepEqual([refused.call_id, refused.generation, refused.http_status], [0, 0, 499]);
  cancelled(rt.callSync("counts", "go", {}, { signal }), "not_started");
  const runner = new ToolRunner(rt);
  cancelled(await runner.runTool("counts", "go", {}, { signal }), "not_started");
  cancelled(await runner.run({ ...plugin, name: "unknown" }, "go", {}, { signal }), "not_started");
  assert.equal(rt.pluginHealth("unknown"), undefined);
  await assert.rejects(runner.runPluginTool("counts", "go", {}, { signal }), (error: unknown) => error instanceof PlugwardError && error.code === Code.CallCancelled);
  assert.deepEqual([begun, rt.pluginHealth("counts")?.success_count, getEventListeners(signal, "abort").length], [0, 0, 0]);
});

test("inline: the caller is answered at once, the tool hears of it and keeps its place until it ends", async () => {
  const rt = fresh();
  const ends = new EventEmitter();
  let signal: AbortSignal | undefined;
  const go = async (_: object, context: CallContext): Promise<number> => {
    signal = context.signal;
    await once(ends, "end");
    return 1;
  };
  await rt.load({ name: "slow", tools: { go }, limits: { concurrency: 1, queue: 4 } });
  const { call_id, generation } = cancelled(await left(rt, "slow", "go", 30_000, () => signal !== undefined), "may_have_run");
  assert.ok(call_id > 0 && generation === 1);
  assert.equal(signal?.aborted, true);
  assert.equal(rt.pluginHealth("slow")?.in_flight, 1);
  ends.emit("end");
  await until(() => rt.pluginHealth("slow")?.in_flight === 0);
  assert.equal(rt.pluginHealth("slow")?.state, "INITIALIZED");
  unblamed(rt, "slow");
});

test("inline: what ignores its signal is given up after its grace, and a deadline that passes then is nobody's", async () => {
  const rt = fresh();
  await rt.load({ name: "deaf", tools: { go: () => new Promise(() => undefined), next: () => 1 }, limits: { concurrency: 1, queue: 4 } });
  // The grace is a second.
  for (const deadlineMs of [800, 120_000]) {
    cancelled(await left(rt, "deaf", "go", deadlineMs, () => rt.pluginHealth("deaf")?.in_flight === 1), "may_have_run");
    const since = performance.now();
    assert.ok((await rt.call("deaf", "next")).ok, "its turn comes");
    const waited = performance.now() - since;
    assert.ok(deadlineMs < 1000 || (waited > 900 && waited < 60_000), `${waited} ms with a deadline of ${deadlineMs} ms`);
    assert.equal(rt.pluginHealth("deaf")?.state, "INITIALIZED");
  }
  unblamed(rt, "deaf");
});

for (const isolation of ["inline", "thread", "process"]) {
  test(`${isolation}: a tool that stops when it is told keeps its worker, whether it returns or throws`, { skip: isolation === "process" ? skip : false }, async () => {
    const name = `polite_${isolation}`;
    const rt = await loaded(name, isolation);
    const before = await seen(rt, name);
    for (const tool of ["polite", "throws"]) {
      cancelled(await left(rt, name, tool), "may_have_run");
      await until(() => rt.pluginHealth(name)?.in_flight === 0);
    }
    await sleep(1300);
    assert.deepEqual(await seen(rt, name), { ...before, heard: 1, begun: 2, generation: 1 });
    unblamed(rt, name);
  });
}

for (const [isolation, tool] of [["thread", "spin"], ["thread", "never"], ["process", "spin"], ["process", "never"]] as const) {
  test(`${isolation}: ${tool} is ended after its grace, and the next generation serves who calls meanwhile`, { skip: isolation === "process" ? skip : false }, async () => {
    const name = `${tool}_${isolation}`;
    const rt = await loaded(name, isolation, { restart: { policy: "never" }, limits: { concurrency: 1, queue: 16, deadline_ms: 30_000 } });
    cancelled(await left(rt, name, tool), "may_have_run");
    assert.equal(rt.pluginHealth(name)?.in_flight, 1, "it keeps its place");
    const next = await seen(rt, name);
    assert.deepEqual([next.generation, next.begun], [2, 0]);
    assert.equal(rt.pluginHealth(name)?.state, "INITIALIZED");
    unblamed(rt, name);
    await until(() => rt.recentLogs().some((record) => /a cancelled call of .* would not end/.test(record.message)));
  });

}

for (const isolation of ["thread", "process"]) {
  test(`${isolation}: no sibling falls with a cancelled call that will not end`, { skip: isolation === "process" ? skip : false }, async () => {
    const name = `siblings_${isolation}`;
    const rt = await loaded(name, isolation);
    const sibling = rt.call(name, "later", { ms: 2500 });
    cancelled(await left(rt, name, "never"), "may_have_run");
    const answer = await sibling;
    assert.deepEqual([answer.ok && answer.result, answer.generation], [2500, 1], JSON.stringify(answer));
    await until(() => rt.pluginHealth(name)?.generation === 2);
    assert.equal((await seen(rt, name)).begun, 0);
    unblamed(rt, name);
  });
}

for (const isolation of ["thread", "process"]) {
  test(`${isolation}: a caller who leaves the queue was never begun`, { skip: isolation === "process" ? skip : false }, async () => {
    const name = `queue_${isolation}`;
    const rt = await loaded(name, isolation, { limits: { concurrency: 1, queue: 16, deadline_ms: 30_000 } });
    const first = rt.call(name, "later", { ms: 3000 });
    const outcome = await left(rt, name, "never", 30_000, () => rt.pluginHealth(name)?.in_flight === 1 && begun(rt, name, "later") === 1);
    assert.ok(!outcome.ok && outcome.code === Code.CallCancelled, JSON.stringify(outcome));
    assert.equal(rt.pluginHealth(name)?.in_flight, 1, "the first one runs still");
    assert.ok((await first).ok);
    assert.deepEqual((await seen(rt, name)).begun, 1);
    await until(() => rt.pluginHealth(name)?.in_flight === 0);
    unblamed(rt, name);
  });
}

test("thread: who waits for a turn beside a cancelled call that will not end is not lost with it", async () => {
  const rt = await loaded("beside", "thread", { limits: { concurrency: 2, queue: 16, deadline_ms: 30_000 } });
  const first = rt.call("beside", "later", { ms: 1600 });
  const others: Promise<Outcome>[] = [];
  setTimeout(() => others.push(...[1, 2, 3].map((n) => rt.call("beside", "later", { ms: 200 + n }))), 300);
  cancelled(await left(rt, "beside", "never"), "may_have_run");
  assert.ok((await first).ok);
  for (const outcome of await Promise.all(others)) assert.ok(outcome.ok, JSON.stringify(outcome));
  await until(() => rt.pluginHealth("beside")?.generation === 2);
  unblamed(rt, "beside");
});

test("thread: who waits while cancelled calls have every place, by default, goes to the next generation", async () => {
  const rt = await loaded("full", "thread", { limits: { deadline_ms: 30_000 } });
  const controller = new AbortController();
  const calls = Array.from({ length: 40 }, () => rt.call("full", "never", {}, { signal: controller.signal }));
  await until(() => begun(rt, "full", "never") > 0);
  assert.ok((rt.pluginHealth("full")?.in_flight ?? 40) < 40, "some of them wait");
  controller.abort();
  const next = await seen(rt, "full");
  assert.deepEqual([next.generation, next.begun], [2, 0]);
  for (const outcome of await Promise.all(calls)) assert.equal(!outcome.ok && outcome.code, Code.CallCancelled, JSON.stringify(outcome));
  unblamed(rt, "full");
});

test("a long-lived signal keeps no listener of a call that is over, however it ended", { skip }, async () => {
  const rt = await loaded("kept", "process", { fails_on: "crash" });
  await rt.load({ name: "inline", tools: { go: () => 1, bad: () => { throw new Error("no"); }, later: async () => 1 }, fails_on: "crash" });
  const thread = modulePlugin("thread", CODE);
  await rt.load(thread);
  const { signal } = new AbortController();
  for (const [plugin, tool] of [["inline", "go"], ["inline", "bad"], ["inline", "later"], ["inline", "none"], ["none", "go"], ["thread", "later"], ["thread", "none"], ["kept", "later"], ["kept", "none"]] as const) {
    const call = rt.call(plugin, tool, { ms: 5 }, { signal });
    assert.equal(getEventListeners(signal, "abort").length, 1, "it listens while the call runs");
    await call;
    assert.equal(getEventListeners(signal, "abort").length, 0, `${plugin}.${tool}`);
  }
  const late = await rt.call("thread", "never", {}, { signal, deadlineMs: 500 });
  assert.equal(!late.ok && late.code, Code.CallDeadline);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  const calls = Array.from({ length: 50 }, () => rt.call("kept", "later", { ms: 1 }, { signal }));
  assert.ok((await Promise.all(calls)).some((outcome) => outcome.ok));
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("a host that waits for nothing but a cancelled call has its outcome", () => {
  const code = `
    const { Runtime } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    const rt = new Runtime();
    (async () => {
      await rt.load({ name: "never", tools: { go: () => new Promise(() => {}) } });
      console.log((await rt.call("never", "go", {}, { signal: AbortSignal.timeout(50) })).code);
    })();
  `;
  assert.equal(execFileSync(process.execPath, ["-e", code], { encoding: "utf8", timeout: 60_000 }).trim(), Code.CallCancelled);
});

test("AbortSignal.timeout, a signal of another make, and one that is none", async () => {
  const rt = await loaded("makes", "thread");
  cancelled(await rt.call("makes", "polite", {}, { signal: AbortSignal.any([AbortSignal.timeout(100), new AbortController().signal]) }), "may_have_run");
  const outcome = await rt.call("makes", "seen", {}, { signal: {} as AbortSignal });
  assert.equal(!outcome.ok && outcome.code, Code.AbiArgument, JSON.stringify(outcome));
});

test("a host's commands, a script in the sandbox, and snippets", async () => {
  const host = new PluginHost(undefined, { executeDeadlineMs: 100_000 });
  const aborted = (error: unknown): boolean => error instanceof PlugwardError && error.code === Code.CallCancelled;
  try {
    const script = "let heard = ''; class Plugin { async wait(_, { signal }) { await new Promise((r) => signal.addEventListener('abort', r)); try { signal.throwIfAborted() } catch (e) { heard = e.name } } onCommand(name) { return { name, heard } } }";
    assert.ok(await host.loadPlugin(`${folder({ "plugin.js": script }, "script")}/plugin.js`));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 150);
    await assert.rejects(host.executePluginCommand("script", "wait", {}, { signal: controller.signal }), aborted);
    await until(() => host.runtime.pluginHealth("script")?.in_flight === 0);
    assert.deepEqual(await host.executePluginCommand("script", "what"), { name: "what", heard: "AbortError" });
    const { signal } = new AbortController();
    assert.deepEqual(await host.execute("({ a: 1 })", { signal }), { a: 1 });
    assert.equal(getEventListeners(signal, "abort").length, 0);
    const since = performance.now();
    await assert.rejects(host.execute("for (;;);", { signal: AbortSignal.timeout(300) }), aborted);
    assert.ok(performance.now() - since < 60_000);
    await assert.rejects(host.execute("({})", { signal: AbortSignal.abort() }), aborted);
  } finally {
    await host.dispose();
  }
});
