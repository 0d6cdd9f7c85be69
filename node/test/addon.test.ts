import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { loadAddon, Refused } from "#src/native";
import { modulePlugin } from "./fixtures";

const root = join(__dirname, "../..");

test("a panic is a JavaScript error with its code", () => {
  for (let i = 0; i < 3; i += 1) {
    assert.throws(() => loadAddon().panicOnPurpose(), (error: unknown) => (error as { code: string }).code === "PW-RT-003" && /on purpose/.test((error as Error).message));
  }
});

test("wrong arguments are errors, not crashes", () => {
  const { NativeRuntime } = loadAddon();
  const rt = new NativeRuntime("{}", false, () => undefined, new Float64Array(4));
  const wild = rt as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ["loadPath", "loadManifest", "loadBroken", "parse", "restart", "unload", "route", "enter", "enterNamed", "succeed", "fault", "register", "mark", "record", "enterLater", "takeTicket", "call", "answer", "fail", "leave", "forget", "pardon", "check", "kindOf", "log", "pluginHealth", "expectWorker", "forgetWorker"]) {
    for (const args of [[], [undefined], [null, null, null, null, null], [Symbol("x")], [{}, [], () => 1, NaN, -1]]) {
      try {
        wild[name]?.(...args);
      } catch (error) {
        assert.ok(error instanceof Error, name);
      }
    }
  }
  assert.throws(() => new (NativeRuntime as unknown as new (...args: unknown[]) => unknown)());
  assert.deepEqual(JSON.parse(rt.health()), []);
  rt.close(0);
  rt.close(0);
});

test("a ticket is good for one answer, and a wrong one is told so", () => {
  const { NativeRuntime } = loadAddon();
  const rt = new NativeRuntime("{}", false, () => undefined, new Float64Array(4));
  assert.equal(rt.enterNamed("none", "go", 0), Refused.error);
  assert.equal((JSON.parse(String(rt.takeError())) as { code: string }).code, "PW-REG-001");
  assert.equal(rt.takeError(), null);
  for (const call of [0, 1, -1, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => rt.succeed(call), (error: unknown) => (error as { code: string }).code === "PW-ABI-007");
    assert.throws(() => rt.enter(call, 0), Error);
  }
  assert.throws(() => new NativeRuntime("{}", false, () => undefined, new Float64Array(3)), (error: unknown) => (error as { code: string }).code === "PW-ABI-007");
  rt.close(0);
});

test("the addon's version is the package's", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.equal(loadAddon().version(), version);
});

test("it loads in several worker threads at once, and calls run in each", async () => {
  const code = `
    const { Runtime } = require(${JSON.stringify(join(root, "dist/src/index.js"))});
    const { parentPort } = require("node:worker_threads");
    (async () => {
      const rt = new Runtime();
      await rt.load({ name: "p", tools: { go: (x) => x.n + 1 } });
      let sum = 0;
      for (let n = 0; n < 200; n++) sum += (await rt.call("p", "go", { n })).result;
      await rt.load(${JSON.stringify(modulePlugin("inner", "module.exports = {go: () => 'inner'}"))});
      parentPort.postMessage([sum, (await rt.call("inner", "go")).result]);
      // Left open on purpose: the thread ends with a live runtime.
      process.exit(0);
    })();`;
  const answers = await Promise.all(
    [1, 2, 3, 4].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(code, { eval: true });
          let answer: unknown;
          worker.on("message", (message) => (answer = message));
          worker.on("error", reject);
          worker.on("exit", () => resolve(answer));
        }),
    ),
  );
  for (const answer of answers) assert.deepEqual(answer, [20_100, "inner"]);
});

test("a process with loaded plugins, calls in flight and no close() ends by itself", () => {
  const spin = modulePlugin("spins", "module.exports = {go() { for (;;); }, ok: () => 1}");
  const idle = `
    const { Runtime } = require("plugward");
    (async () => {
      const rt = new Runtime();
      const [report] = await rt.load(${JSON.stringify(spin)});
      console.log(report.state, (await rt.call("spins", "ok")).result);
      ENDING
    })();`;
  const run = (ending: string): { status: number | null; stdout: string } =>
    spawnSync(process.execPath, ["-e", idle.replace("ENDING", ending)], { cwd: root, encoding: "utf8", timeout: 60_000 });
  for (const ending of ["", "rt.call('spins', 'go'); setTimeout(() => process.exit(0), 50);", "rt.call('spins', 'go', {}, {deadlineMs: 100});", "process.exitCode = 0; rt.close();"]) {
    const { status, stdout } = run(ending);
    assert.equal(status, 0, ending);
    assert.equal(stdout.trim(), "INITIALIZED 1", ending);
  }
});

test("runtimes that are forgotten without close() give their threads back", () => {
  const code = `
    const { Runtime } = require("plugward");
    const { readdirSync } = require("node:fs");
    const threads = () => readdirSync("/proc/self/task").length;
    const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
    (async () => {
      const before = threads();
      for (let i = 0; i < 50; i++) {
        const rt = new Runtime();
        await rt.load({ name: "p", tools: { go: () => 1 } });
        rt.callSync("p", "go");
      }
      const most = threads();
      for (let i = 0; i < 2000 && threads() > before + 10; i++) { gc(); await pause(); }
      console.log(JSON.stringify({ before, most, after: threads() }));
    })();`;
  const out = execFileSync(process.execPath, ["--expose-gc", "-e", code], { cwd: root, encoding: "utf8" });
  const { before, most, after } = JSON.parse(out) as { before: number; most: number; after: number };
  assert.ok(most > before, "nothing was measured");
  assert.ok(after <= before + 10, out);
});

test("ES modules and CommonJS get the same classes", () => {
  const code = `
    import * as es from "plugward";
    import { createRequire } from "node:module";
    const cjs = createRequire(import.meta.url)("plugward");
    const names = Object.keys(es).filter((name) => name !== "default").sort();
    console.log(JSON.stringify({ names, missing: Object.keys(cjs).filter((name) => !(name in es)), same: names.every((name) => es[name] === cjs[name]) }));`;
  const out = execFileSync(process.execPath, ["--input-type=module", "-e", code], { cwd: root, encoding: "utf8" });
  const { names, missing, same } = JSON.parse(out) as { names: string[]; missing: string[]; same: boolean };
  assert.ok(names.includes("Runtime") && names.includes("PluginHost") && names.includes("EventBus") && names.includes("ToolRunner") && names.includes("healthHandler"));
  assert.deepEqual(missing, []);
  assert.ok(same);
});
