import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Code, type Failure, type Outcome, PlugwardError, Runtime, ToolRunner } from "plugward";
import { folder, modulePlugin, until } from "./fixtures";

const runtimes: Runtime[] = [];
after(() => Promise.all(runtimes.map((runtime) => runtime.close())));

function fresh(): Runtime {
  const runtime = new Runtime();
  runtimes.push(runtime);
  return runtime;
}

function failed(outcome: Outcome, code: string): Failure {
  assert.ok(!outcome.ok, JSON.stringify(outcome));
  assert.equal(outcome.code, code, JSON.stringify(outcome));
  return outcome;
}

async function ready(rt: Runtime, path: string): Promise<string> {
  const [report] = await rt.load(path);
  assert.equal(report?.error, null, JSON.stringify(report));
  assert.equal(report?.state, "INITIALIZED");
  return String(report?.name);
}

test("a host plugin runs inline; results are not copied", async () => {
  const rt = fresh();
  const given = { deep: { list: [1, 2] }, keep: () => 1 };
  await rt.load({ name: "host", tools: { same: (x: unknown) => x, later: async (x: { n: number }) => x.n + 1 } });
  const outcome = await rt.call("host", "same", given);
  assert.ok(outcome.ok);
  assert.equal(outcome.result, given);
  assert.equal(outcome.effect, "completed");
  assert.equal(outcome.generation, 1);
  assert.ok(outcome.call_id > 0 && outcome.elapsed_ms >= 0);
  const later = await rt.call<number>("host", "later", { n: 41 });
  assert.ok(later.ok && later.result === 42);
  const at_once = rt.callSync("host", "same", 7);
  assert.ok(at_once.ok && at_once.result === 7);
  assert.equal(rt.pluginHealth("host")?.success_count, 3);
});

test("whatever an inline tool throws is an outcome, and the plugin is FAILED after it", async () => {
  for (const thrown of [undefined, null, 7, "text", Object.freeze({}), Object.create(null) as object, Symbol("s"), { get message(): string { throw new Error("trap"); } }]) {
    const rt = fresh();
    await rt.load({ name: "bad", tools: { go: () => { throw thrown; }, rejects: async () => { throw thrown; } } });
    const first = failed(await rt.call("bad", "go"), Code.CallPluginError);
    assert.equal(typeof first.error, "string");
    failed(await rt.call("bad", "rejects"), Code.CallPluginFailed);
    assert.equal(rt.pluginHealth("bad")?.state, "FAILED");
    const again = await rt.restart("bad");
    assert.equal(again.generation, 2);
    failed(await rt.call("bad", "rejects"), Code.CallPluginError);
  }
});

test("a plugin's refusal of its input is not held against it", async () => {
  const rt = fresh();
  class InvalidInput extends Error {
    override name = "InvalidInput";
  }
  await rt.load({ name: "fussy", tools: { go: () => { throw new InvalidInput("too short"); } } });
  const refused = failed(await rt.call("fussy", "go"), Code.CallRefusedInput);
  assert.equal(refused.error, "too short");
  assert.equal(rt.pluginHealth("fussy")?.state, "INITIALIZED");
});

test("input and output schemas are the core's to check", async () => {
  const rt = fresh();
  const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
  await rt.load({ name: "typed", tools: { go: { handler: (x: { n: number }) => (x.n > 9 ? { n: "no" } : { n: 1 }), input_schema: schema, output_schema: schema } } });
  failed(await rt.call("typed", "go", { n: "x" }), Code.CallInvalidInput);
  assert.ok((await rt.call("typed", "go", { n: 1 })).ok);
  failed(await rt.call("typed", "go", { n: 10 }), Code.CallInvalidOutput);
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  failed(await rt.call("typed", "go", loop), Code.AbiArgument);
});

test("unknown names are told apart, and a closed runtime says so", async () => {
  const rt = fresh();
  await rt.load({ name: "one", tools: { go: () => 1 } });
  failed(await rt.call("none", "go"), Code.RegistryUnknownPlugin);
  failed(await rt.call("one", "none"), Code.RegistryUnknownTool);
  const twice = await rt.load({ name: "one", tools: { go: () => 2 } });
  assert.equal(twice.error?.code, Code.RegistryDuplicate);
  assert.ok((await rt.call("one", "go")).ok, "the first is untouched");
  rt.unload("one");
  assert.throws(() => rt.unload("one"), (error: unknown) => error instanceof PlugwardError && error.code === Code.RegistryUnknownPlugin);
  await rt.close();
  failed(await rt.call("one", "go"), Code.RuntimeClosed);
  assert.deepEqual(JSON.parse(rt.healthJson()) instanceof Array, true);
});

test("options that cannot be are refused with their code", () => {
  assert.throws(() => new Runtime({ lockTimeoutMs: 0 }), (error: unknown) => (error as PlugwardError).code === Code.RuntimeOption);
  assert.throws(() => new Runtime({ nonsense: 1 } as object), (error: unknown) => (error as PlugwardError).code === Code.AbiJson);
});

test("a promise that never settles is answered at its deadline, inline and in a worker", async () => {
  const rt = fresh();
  await rt.load({ name: "inline", tools: { hang: () => new Promise(() => undefined) } });
  failed(await rt.call("inline", "hang", {}, { deadlineMs: 1000 }), Code.CallDeadline);
  assert.equal(rt.pluginHealth("inline")?.state, "FAILED");
  await ready(rt, modulePlugin("worker", "module.exports = {hang: () => new Promise(() => {})}"));
  failed(await rt.call("worker", "hang", {}, { deadlineMs: 1000 }), Code.CallDeadline);
  assert.equal(rt.pluginHealth("worker")?.state, "FAILED");
});

test("an inline loop is told the truth: it came back late, and nobody else was let in", async () => {
  const rt = fresh();
  await rt.load({ name: "loop", tools: { spin: () => { const end = Date.now() + 1500; while (Date.now() < end); return "late"; } } });
  const late = failed(await rt.call("loop", "spin", {}, { deadlineMs: 500 }), Code.CallDeadline);
  assert.match(late.error, /came back late/);
  assert.equal(late.effect, "completed");
  failed(await rt.call("loop", "spin"), Code.CallPluginFailed);
});

test("a worker's loop is ended at its deadline, and only that plugin", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("spinner", "module.exports = {spin() { for (;;); }}"));
  await ready(rt, modulePlugin("good", "module.exports = {add: ({a, b}) => a + b}"));
  const spinning = rt.call("spinner", "spin", {}, { deadlineMs: 1000 });
  const sum = await rt.call("good", "add", { a: 1, b: 2 });
  assert.ok(sum.ok && sum.result === 3);
  const ended = failed(await spinning, Code.CallDeadline);
  assert.equal(ended.effect, "stopped");
  assert.equal(rt.pluginHealth("spinner")?.state, "FAILED");
  assert.equal(rt.pluginHealth("good")?.state, "INITIALIZED");
  const again = await rt.restart("spinner");
  assert.deepEqual([again.state, again.generation], ["INITIALIZED", 2]);
});

test("calls that fall with another's deadline are not blamed for it", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("shared", "module.exports = {hang: () => new Promise(() => {}), wait: () => new Promise(() => {})}"));
  const [guilty, victim] = await Promise.all([rt.call("shared", "hang", {}, { deadlineMs: 1000 }), rt.call("shared", "wait", {}, { deadlineMs: 15_000 })]);
  failed(guilty, Code.CallDeadline);
  failed(victim, Code.CallPluginFailed);
});

const CRASHES: [string, string, string][] = [
  ["exits", "process.exit(3)", Code.CallExited],
  ["aborts", "process.abort()", Code.CallPluginError],
  ["throws undefined", "throw undefined", Code.CallPluginError],
  ["rejects frozen", "return Promise.reject(Object.freeze({}))", Code.CallPluginError],
  ["huge message", "throw new Error('x'.repeat(100_000_000))", Code.CallPluginError],
  ["raising message", "throw {get message() { throw 1 }, get stack() { throw 2 }, get name() { throw 3 }}", Code.CallPluginError],
  ["timer throws", "setTimeout(() => { throw new Error('in a timer') }, 5); return new Promise(() => {})", Code.CallPluginError],
  ["unhandled", "Promise.reject(new Error('stray')); return new Promise(() => {})", Code.CallPluginError],
  ["heap in chunks", "const a = []; for (;;) a.push(new Array(1e5).fill(1.5))", Code.CallMemory],
  ["heap at once", "const m = new Map(); for (let i = 0; ; i++) m.set(i, {i})", Code.CallMemory],
  ["one huge array", "const a = []; for (;;) a.push(new Array(3e7).fill(0))", Code.CallMemory],
  ["function result", "return () => 1", Code.CallUnserializable],
  ["stack", "const f = () => f() + 1; return f()", Code.CallPluginError],
  ["parent port", "require('worker_threads').parentPort.postMessage({op: 'nonsense'}); throw new RangeError('after')", Code.CallPluginError],
];

for (const [what, body, code] of CRASHES) {
  test(`in a worker: ${what}`, async () => {
    const rt = fresh();
    await ready(rt, modulePlugin("bad", `module.exports = {go() { ${body} }}`, { limits: { memory_mb: what === "huge message" ? 512 : 64, deadline_ms: 60_000 } }));
    await rt.load({ name: "other", tools: { go: () => 1 } });
    const outcome = failed(await rt.call("bad", "go"), code);
    assert.ok(outcome.error.length < 70_000);
    assert.ok((await rt.call("other", "go")).ok);
  });
}

test("an error after the call, in a timer, is blamed on its plugin", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("late", "module.exports = {go() { setTimeout(() => { throw new Error('afterwards') }, 20); return 1 }}"));
  await ready(rt, modulePlugin("bystander", "module.exports = {go: () => 1}"));
  assert.ok((await rt.call("late", "go")).ok);
  await until(() => rt.pluginHealth("late")?.state === "FAILED");
  assert.match(String(rt.pluginHealth("late")?.reason), /afterwards/);
  assert.equal(rt.pluginHealth("bystander")?.state, "INITIALIZED");
});

test("every step of a load has its own error, and the plugin is listed", async () => {
  const rt = fresh();
  const cases: [string, string, string][] = [
    ["imports", "throw new Error('at import')", Code.LoadImport],
    ["syntax", "module.exports = {", Code.LoadImport],
    ["constructs", "module.exports = class { constructor() { throw new Error('no') } }", Code.LoadConstruct],
    ["validates", "module.exports = {validate: () => false}", Code.LoadValidate],
    ["nothing", "module.exports = 7", Code.LoadEntrypoint],
    ["exits", "process.exit(1)", Code.CallExited],
  ];
  for (const [name, code, expected] of cases) {
    const [report] = await rt.load(modulePlugin(name, code));
    assert.equal(report?.error?.code, expected, `${name}: ${JSON.stringify(report)}`);
    assert.equal(rt.pluginHealth(name)?.state, "FAILED");
    failed(await rt.call(name, "go"), Code.CallPluginFailed);
  }
  const [missing] = await rt.load(modulePlugin("missing", "", { entrypoint: "not_there.js" }));
  assert.equal(missing?.error?.code, Code.LoadEntrypoint);
});

test("a load that never ends is ended", async () => {
  const rt = new Runtime({ loadTimeoutMs: 3000 });
  runtimes.push(rt);
  const [spins, hangs] = await Promise.all([rt.load(modulePlugin("spins", "for (;;);")), rt.load(modulePlugin("hangs", "module.exports = {init: () => new Promise(() => {})}"))]);
  for (const [report] of [spins, hangs]) assert.equal(report?.error?.code, Code.LoadConstruct, JSON.stringify(report));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { user } = process.cpuUsage(before);
  assert.ok(user < 500_000, `something still spins: ${user / 1000} ms of one second`);
});

test("the probe of the manifest is called at load", async () => {
  const rt = fresh();
  const code = "module.exports = {double: ({n}) => ({twice: n * 2})}";
  const probe = (expected: number): object => ({ probe: { tool: "double", args: { n: 4 }, expect_schema: { properties: { twice: { const: expected } } } } });
  await ready(rt, modulePlugin("right", code, probe(8)));
  const [wrong] = await rt.load(modulePlugin("wrong", code, probe(9)));
  assert.equal(wrong?.error?.code, Code.LoadProbe);
});

test("a queue: one at a time, in order, and a full queue is told at once", async () => {
  const rt = fresh();
  const code = "let now = 0; module.exports = {async go({n}) { now++; const seen = now; await new Promise(r => setTimeout(r, 20)); now--; return {n, seen} }}";
  await ready(rt, modulePlugin("one", code, { limits: { concurrency: 1, queue: 3, deadline_ms: 20_000 } }));
  const outcomes = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => rt.call<{ seen: number }>("one", "go", { n })));
  const fine = outcomes.filter((outcome) => outcome.ok);
  assert.ok(fine.length >= 4, JSON.stringify(outcomes));
  for (const outcome of outcomes) assert.ok(outcome.ok ? outcome.result.seen === 1 : outcome.code === Code.CallBusy, JSON.stringify(outcome));
});

test("an ES module, a class with tools, and a plugin with onCommand", async () => {
  const rt = fresh();
  const es = modulePlugin("es", "", { entrypoint: "index.mjs" });
  (await import("node:fs")).writeFileSync(`${es}/index.mjs`, "export default class { hello(x) { return 'hello ' + x.who } }");
  await ready(rt, es);
  assert.deepEqual((await rt.call("es", "hello", { who: "you" }) as { result: unknown }).result, "hello you");
  await ready(rt, modulePlugin("tools", "module.exports = class { tools = {sum: {handler: 'add'}}; add({a, b}) { return a + b } }"));
  assert.deepEqual((await rt.call("tools", "sum", { a: 2, b: 3 }) as { result: unknown }).result, 5);
  await ready(rt, modulePlugin("open", "module.exports = class { onCommand(c, p) { return {c, p} } }"));
  const any = await rt.call("open", "whatever", { x: 1 });
  assert.ok(any.ok && any.tool === "whatever");
  assert.deepEqual(any.result, { c: "whatever", p: { x: 1 } });
});

test("an inline module plugin runs on this thread", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("here", "module.exports = {main: () => require('worker_threads').isMainThread}", { isolation: "inline" }));
  const outcome = await rt.call("here", "main");
  assert.ok(outcome.ok && outcome.result === true);
});

test("process isolation that is not there is said, not weakened", async () => {
  process.env.PLUGWARD_WORKER = "/not/there";
  const rt = fresh();
  const [report] = await rt.load(modulePlugin("far", "", { kind: "native", entrypoint: "far.so", isolation: "process" }));
  delete process.env.PLUGWARD_WORKER;
  assert.equal(report?.error?.code, Code.WorkerProgram);
  assert.equal(report?.state, "UNAVAILABLE");
});

test("packages that are missing, too old or incomplete make it UNAVAILABLE; all are named", async () => {
  const rt = fresh();
  const { mkdirSync, writeFileSync } = await import("node:fs");
  const install = (root: string, name: string, json: object): void => {
    mkdirSync(`${root}/node_modules/${name}`, { recursive: true });
    writeFileSync(`${root}/node_modules/${name}/package.json`, JSON.stringify(json));
  };
  const path = modulePlugin("needy", "module.exports = {go: () => 1}", { dependencies: ["old@^2.0.0", "absent", "hollow", "@fine/one@^1.0.0", "node:fs"] });
  install(path, "old", { version: "1.9.0" });
  install(path, "hollow", { version: "1.0.0", dependencies: { "not-there": "1" } });
  install(path, "@fine/one", { version: "1.2.0", dependencies: { old: "*" } });
  const [report] = await rt.load(path);
  assert.equal(report?.state, "UNAVAILABLE");
  const packages = (report?.findings ?? []).filter((finding) => finding.kind === "package");
  assert.deepEqual(packages.map(({ subject, code }) => [subject, code]), [["old", "PW-PKG-002"], ["absent", "PW-PKG-001"], ["hollow", "PW-PKG-003"], ["@fine/one", null]]);
  assert.match(String(packages[2]?.message), /not-there/);
  failed(await rt.call("needy", "go"), "PW-PKG-002");
});

test("a restart while a call runs: its late result is refused, the next generation answers", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("slow", "module.exports = {async go() { await new Promise(r => setTimeout(r, 3000)); return 'old' }, quick: () => 'new'}"));
  const late = rt.call("slow", "go");
  const report = await rt.restart("slow");
  assert.deepEqual([report.state, report.generation], ["INITIALIZED", 2]);
  const quick = await rt.call("slow", "quick");
  assert.ok(quick.ok && quick.generation === 2);
  const outcome = await late;
  assert.ok(!outcome.ok && ["PW-LIFE-002", "PW-CALL-013"].includes(outcome.code), JSON.stringify(outcome));
  assert.equal(outcome.generation, 1);
  assert.equal(rt.pluginHealth("slow")?.state, "INITIALIZED");
});

for (const isolation of ["inline", "thread"]) {
  test(`${isolation}: close() and unload() let a plugin finish its goodbye`, async () => {
    const rt = fresh();
    const place = folder({});
    const code = (name: string): string =>
      `module.exports = class { go() {} async onShutdown() { await new Promise((done) => setTimeout(done, 100)); require("node:fs").writeFileSync(${JSON.stringify(join(place, name))}, "bye"); } }`;
    for (const name of ["unloaded", "closed"]) await ready(rt, modulePlugin(name, code(name), { isolation }));
    rt.unload("unloaded");
    await until(() => existsSync(join(place, "unloaded")));
    await rt.close();
    assert.ok(existsSync(join(place, "closed")), "close() waits for the goodbye, and does not cut it off");
  });
}

test("close() ends what depends on others before them, whatever they run in, and the event loop goes on meanwhile", { skip: process.platform !== "linux" }, async () => {
  const rt = fresh();
  const place = folder({});
  const log = join(place, "order");
  // The deeper it lies, the quicker it is gone: only the order holds it back.
  const code = (name: string, ms: number): string =>
    `module.exports = class { go() {} async onShutdown() { await new Promise((done) => setTimeout(done, ${ms})); require("node:fs").appendFileSync(${JSON.stringify(log)}, "${name} "); } }`;
  const permissions = { write: [place] };
  await ready(rt, modulePlugin("sql", code("sql", 0), { isolation: "thread" }));
  await ready(rt, modulePlugin("vectors", code("vectors", 100), { isolation: "process", permissions, depends_on: ["sql"] }));
  await ready(rt, modulePlugin("search", code("search", 200), { isolation: "inline", depends_on: ["vectors"] }));
  await ready(rt, modulePlugin("ui", code("ui", 300), { isolation: "thread", depends_on: ["search"] }));
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 10);
  const [closing, again] = [rt.close(), rt.close()];
  failed(await rt.call("sql", "go"), Code.RuntimeClosed);
  await Promise.all([closing, again]);
  clearInterval(timer);
  assert.equal(readFileSync(log, "utf8"), "ui search vectors sql ");
  assert.ok(ticks >= 10, `${ticks} ticks`);
});

test("a host whose last word waits for unloadPlugin() hears of its end, however late the plugin's goodbye was read", () => {
  // The goodbye has begun, and the host's thread is busy until its half second has passed: the plugin, whose large heap takes a while
  // to go, has answered by then, and is ended before that answer is read.
  const plugin = folder({ "plugin.js": "const keep = []; for (let i = 0; i < 1e6; i++) keep.push({ i }); class Plugin { onShutdown() {} go() {} }" });
  const code = `
    const { PluginHost } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    (async () => {
      const host = new PluginHost();
      if (!(await host.loadPlugin(${JSON.stringify(join(plugin, "plugin.js"))}))) return;
      const unloading = host.unloadPlugin(host.getLoadedPlugins()[0]);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
      console.log(await unloading);
    })();
  `;
  assert.equal(execFileSync(process.execPath, ["-e", code], { encoding: "utf8", timeout: 60_000 }), "true\n");
});

test("a plugin that will not say goodbye is ended all the same", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("stays inline", "module.exports = {onShutdown: () => new Promise(() => {}), go: () => 1}", { isolation: "inline" }));
  await ready(rt, modulePlugin("stays", "module.exports = {onShutdown: () => new Promise(() => {}), go: () => 1}"));
  await ready(rt, modulePlugin("spins on", "module.exports = {onShutdown() { for (;;); }, go: () => 1}"));
  const since = Date.now();
  await rt.close();
  assert.ok(Date.now() - since < 60_000);
});

test("a plugin and its host exchange events", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("talks", "module.exports = class { init(api, bus) { bus.on('ping', (p) => bus.emit('pong', {n: p.n + 1})) } }"));
  let heard: unknown;
  rt.events.on("pong", (payload) => (heard = payload));
  await until(() => rt.events.getRegisteredEvents().includes("ping"));
  void rt.events.emit("ping", { n: 1 });
  assert.deepEqual(await until(() => heard), { n: 2 });
  rt.unload("talks");
  await until(() => !rt.events.getRegisteredEvents().includes("ping"));
});

test("a flood of lines and events does not bury the host", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("flood", "module.exports = class { constructor(api) { this.api = api } go() { for (let i = 0; i < 200000; i++) this.api.log('x'.repeat(1000)); return 1 } }"));
  const outcome = await rt.call("flood", "go");
  assert.ok(outcome.ok);
});

test("ToolRunner answers outcomes, or throws the right error", async () => {
  const rt = fresh();
  const runner = new ToolRunner(rt);
  const plugin = { name: "mine", tools: { go: (x: { n: number }) => x.n * 2, bad: () => { throw new TypeError("wrong"); } } };
  const outcome = await runner.run(plugin, "go", { n: 4 });
  assert.ok(outcome.ok && outcome.result === 8);
  assert.equal(await runner.runPluginTool("mine", "go", { n: 5 }), 10);
  await assert.rejects(runner.runPluginTool("mine", "bad"), (error: unknown) => error instanceof PlugwardError && error.type === "TypeError" && error.message === "wrong" && error.outcome?.ok === false);
});

test("log records reach the host; a sink that throws harms nobody", async () => {
  const lines: string[] = [];
  const rt = new Runtime({ onLog: (record) => { lines.push(record.message); throw new Error("sink"); } });
  runtimes.push(rt);
  await rt.load({ name: "loud", tools: { go: () => { throw new Error("told"); } } });
  await rt.call("loud", "go");
  await until(() => lines.some((line) => line.includes("told")));
  assert.ok(rt.recentLogs().some((record) => record.message.includes("told")));
});

test("what a module writes to its output is a log line under its name", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("prints", "module.exports = {go() { console.log('to stdout'); process.stderr.write('to stderr\\n'); return 1 }}"));
  assert.ok((await rt.call("prints", "go")).ok);
  const said = await until(() => rt.recentLogs().filter((record) => record.plugin === "prints" && record.message.startsWith("to ")).length === 2 && rt.recentLogs());
  assert.ok(said.some((record) => record.level === "warn" && record.message === "to stderr"));
});

test("many calls in flight each get their own answer", async () => {
  const rt = fresh();
  await ready(rt, modulePlugin("echo", "module.exports = {async go(x) { await new Promise(r => setTimeout(r, x.n % 7)); return x.n }}", { limits: { concurrency: 64, queue: 1000, deadline_ms: 60_000 } }));
  const outcomes = await Promise.all(Array.from({ length: 500 }, (_, n) => rt.call<number>("echo", "go", { n })));
  outcomes.forEach((outcome, n) => assert.ok(outcome.ok && outcome.result === n, JSON.stringify(outcome)));
  assert.equal(rt.pluginHealth("echo")?.in_flight, 0);
});
