import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Code, PluginHost, PlugwardError, Runtime } from "plugward";
import { folder, modulePlugin, until } from "./fixtures";

const hosts: PluginHost[] = [];
after(() => Promise.all(hosts.map((host) => host.dispose())));

function fresh(options = {}): { host: PluginHost; lines: string[] } {
  const lines: string[] = [];
  const say = (text: string): unknown => lines.push(text);
  const host = new PluginHost({ debug: say, info: say, warn: say, error: say }, options);
  hosts.push(host);
  return { host, lines };
}

function bare(name: string, code: string): string {
  return join(folder({ "index.js": code }, name), "index.js");
}

test("a script declaring class Plugin: one method a command, named after its folder", async () => {
  const { host, lines } = fresh();
  assert.equal(await host.loadPlugin(bare("hello", "class Plugin { greet(p) { return 'hello ' + p.who } async later() { return typeof require + typeof process } nothing(p) { return typeof p } }")), true);
  assert.deepEqual(host.getLoadedPlugins(), ["hello"]);
  assert.equal(await host.executePluginCommand("hello", "greet", { who: "world" }), "hello world");
  assert.equal(await host.executePluginCommand("hello", "later"), "undefinedundefined");
  assert.equal(await host.executePluginCommand("hello", "nothing"), "undefined");
  assert.ok(lines.some((line) => line.includes("sandbox")), "what was assumed is reported");
});

test("CommonJS with onCommand, and the init interface, with and without a manifest", async () => {
  const commonJs = "module.exports = class { constructor(api) { this.name = api.name } async onCommand(cmd, payload) { if (cmd === 'echo') return {cmd, payload, name: this.name}; throw new Error('odd') } onShutdown() {} }";
  const initShape = "module.exports = { init(api, bus, config) { this.seen = [typeof api, typeof bus.on, config.colour] }, onLoad(state) { this.seen.push(typeof state) }, onCommand(c) { return this.seen } }";
  const { host } = fresh({ config: { colour: "red" } });
  assert.ok(await host.loadPlugin(bare("common", commonJs)));
  assert.deepEqual(await host.executePluginCommand("common", "echo", 5), { cmd: "echo", payload: 5, name: "common" });
  await assert.rejects(host.executePluginCommand("common", "x"), /odd/);
  assert.ok(await host.loadPlugin(bare("inits", initShape)));
  assert.deepEqual(await host.executePluginCommand("inits", "any"), ["object", "function", "red", "undefined"]);
  assert.ok(await host.loadPlugin(folder({ "manifest.json": { id: "dialect", entry_point: "main.js" }, "main.js": initShape })));
  assert.deepEqual(await host.executePluginCommand("dialect", "any"), ["object", "function", "red", "undefined"]);
});

test("manifest dialects are understood and what was assumed is said", async () => {
  const { host } = fresh();
  const code = "module.exports = class { ping() { return 'pong' } }";
  for (const [n, manifest] of [{ name: "d0", entry_point: "p.js" }, { id: "d1", entryPoint: "p.js", dependencies: {} }, { name: "d2", entrypoint: "p.js", kind: "node", dependencies: [] }].entries()) {
    const path = folder({ "manifest.json": manifest, "p.js": code });
    assert.ok(await host.loadPlugin(n === 1 ? join(path, "manifest.json") : path), JSON.stringify(host.loadReport(path)));
    assert.equal(await host.executePluginCommand(`d${n}`, "ping"), "pong");
  }
  const path = folder({ "manifest.json": { name: "beside", entry_point: "p.js" }, "p.js": code });
  assert.ok(await host.loadPlugin(join(path, "p.js")), "a script beside its manifest takes the manifest's name");
  assert.deepEqual(host.getLoadedPlugins(), ["beside", "d0", "d1", "d2"]);
});

test("loading never throws, and a second plugin replaces nothing", async () => {
  const { host, lines } = fresh();
  for (const path of ["/nonexistent/plugin.js", "/nonexistent", bare("broken", "class Plugin {"), bare("empty", ""), folder({}), folder({ "manifest.json": "{" })]) {
    assert.equal(await host.loadPlugin(path), false, path);
  }
  assert.ok(lines.length > 0);
  assert.deepEqual(host.getLoadedPlugins(), []);
  assert.ok(await host.loadPlugin(bare("a", "class Plugin { who() { return 'a' } }")));
  assert.ok(await host.loadPlugin(bare("b", "class Plugin { who() { return 'b' } }")));
  assert.equal(await host.loadPlugin(bare("a", "class Plugin { who() { return 'impostor' } }")), false);
  assert.equal(await host.executePluginCommand("a", "who"), "a");
  assert.equal(await host.executePluginCommand("b", "who"), "b");
  assert.ok(await host.loadPlugin(bare("broken", "class Plugin { ok() { return 1 } }")), "a name that never came up is free again");
});

test("errors of commands: unknown ones, and the plugin's own", async () => {
  const { host } = fresh();
  await host.loadPlugin(bare("p", "class Plugin { bad() { throw new TypeError('my fault') } good() { return 1 } }"));
  await assert.rejects(host.executePluginCommand("p", "nope"), /Command not found: nope/);
  await assert.rejects(host.executePluginCommand("p", "constructor"), /Command not found: constructor/);
  await assert.rejects(host.executePluginCommand("p", "__proto__"), /Command not found/);
  await assert.rejects(host.executePluginCommand("q", "good"), /Plugin not found: q/);
  await assert.rejects(host.executePluginCommand("p", "bad"), (error: unknown) => error instanceof PlugwardError && error.type === "TypeError" && error.message === "my fault");
  assert.equal(await host.executePluginCommand("p", "good"), 1, "an exception does not end a plugin here");
});

test("onShutdown is called at unload, and the name is free again", async () => {
  const { host } = fresh();
  const code = "class Plugin { init(api, bus) { this.bus = bus } ping() { return 1 } onShutdown() { this.bus.emit('bye', 1) } }";
  let bye: unknown;
  host.getEventBus().on("bye", (payload) => (bye = payload));
  assert.ok(await host.loadPlugin(bare("p", code)));
  assert.equal(await host.unloadPlugin("p"), true);
  assert.equal(await until(() => bye), 1);
  assert.equal(await host.unloadPlugin("p"), false);
  await assert.rejects(host.executePluginCommand("p", "ping"), /Plugin not found/);
  assert.ok(await host.loadPlugin(bare("p", code)));
});

for (const isolation of ["inline", "thread", "process"]) {
  test(`${isolation}: whoever waits for unloadPlugin finds the goodbye said`, { skip: isolation === "process" && process.platform !== "linux" }, async () => {
    const { host } = fresh();
    const place = folder({});
    const said = join(place, "bye");
    const code = `module.exports = class { ping() { return 1 } async onShutdown() { await new Promise((done) => setTimeout(done, 100)); require("node:fs").writeFileSync(${JSON.stringify(said)}, "x") } }`;
    assert.ok(await host.loadPlugin(modulePlugin("p", code, { isolation, permissions: { write: [place] } })));
    assert.equal(await host.executePluginCommand("p", "ping"), 1);
    assert.equal(await host.unloadPlugin("p"), true);
    assert.ok(existsSync(said));
    assert.deepEqual(host.getLoadedPlugins(), []);
    assert.equal(await host.unloadPlugin("p"), false);
  });
}

test("of a runtime that it shares, dispose ends what was loaded last first", async () => {
  const runtime = new Runtime();
  const host = new PluginHost(undefined, { runtime });
  const log = join(folder({}), "order");
  const code = (name: string): string => `module.exports = class { onShutdown() { require("node:fs").appendFileSync(${JSON.stringify(log)}, "${name} ") } }`;
  for (const [name, depends_on] of [["b", []], ["c", ["b"]], ["a", ["c"]]] as const) assert.ok(await host.loadPlugin(modulePlugin(name, code(name), { depends_on })));
  await host.dispose();
  assert.equal(readFileSync(log, "utf8"), "a c b ");
  assert.deepEqual(runtime.health(), []);
  await runtime.close();
});

test("execute answers a record, and refuses every way out", async () => {
  const { host } = fresh();
  assert.deepEqual(await host.execute("({a: 1})"), { a: 1 });
  assert.deepEqual(await host.execute("typeof process"), { result: "undefined" });
  for (const code of ["require('fs')", "process.exit()", "import('fs')", "fetch('http://127.0.0.1')", "this.constructor.constructor('return process')()", "new Function('return process')()", "new WebAssembly.Module(new Uint8Array(8))"]) {
    await assert.rejects(host.execute(code), PlugwardError, code);
  }
  await assert.rejects(host.execute("for (;;) {}"), (error: unknown) => (error as PlugwardError).code === Code.CallDeadline);
});

test("memory bombs of many shapes end their own worker only", async () => {
  const { host } = fresh({ executeDeadlineMs: 60_000 });
  for (const bomb of [
    "const m = new Map(); for (let i = 0; ; i++) m.set(i, {i})",
    "const s = new Set(); for (;;) s.add({})",
    "const x = []; for (;;) x.push(new Array(5e7).fill(0))",
    "let a = [1]; for (;;) a = a.concat(a)",
    "const a = []; for (;;) a.push('x'.repeat(1e6) + a.length)",
    "const a = []; for (;;) a.push(BigInt('0x' + 'f'.repeat(1e6)))",
    "let p = Promise.resolve(); for (;;) p = p.then(() => {})",
    "const a = []; const g = () => { a.push(new Array(1e5).fill(0)); setTimeout(g, 0) }; g(); return new Promise(() => {})",
    "const a = []; for (;;) a.push(new Uint8Array(1e7).fill(1))",
    "const a = []; for (;;) a.push(new ArrayBuffer(1e5))",
    "const a = []; for (;;) a.push(new Float64Array(1e7).fill(1.5))",
  ]) {
    await assert.rejects(host.execute(bomb), (error: unknown) => (error as PlugwardError).code === Code.CallMemory, bomb);
    assert.ok(process.memoryUsage().rss < 3e9, `${bomb}: ${process.memoryUsage().rss}`);
  }
  const churn = "let sum = 0; for (let i = 0; i < 400; i++) { const b = new Uint8Array(5e6); b[i] = 1; sum += b[i] } return {sum}";
  assert.deepEqual(await host.execute(churn), { sum: 400 }, "buffers that are let go again are no bomb");
});

test("the event loop is free while a plugin spins", async () => {
  const { host } = fresh({ deadlineMs: 5000 });
  await host.loadPlugin(bare("spinner", "class Plugin { spin() { for (;;) {} } }"));
  await host.loadPlugin(bare("good", "class Plugin { add(p) { return p.a + p.b } }"));
  const spinning = host.executePluginCommand("spinner", "spin");
  let spins = true;
  spinning.catch(() => (spins = false));
  for (let calls = 0; calls < 5; calls += 1) assert.equal(await host.executePluginCommand("good", "add", { a: 1, b: 2 }), 3);
  assert.ok(spins, "they were answered only when it had ended");
  await assert.rejects(spinning, (error: unknown) => (error as PlugwardError).code === Code.CallDeadline);
  assert.deepEqual(host.getLoadedPlugins(), ["good"]);
  assert.equal(await host.restartPlugin("spinner"), true);
});

test("crashes of modules stay with their plugin", async () => {
  const { host } = fresh();
  for (const [name, body] of [["exit", "process.exit(0)"], ["timer", "setTimeout(() => { throw 1 }, 1); return new Promise(() => {})"], ["reject", "Promise.reject(undefined); return new Promise(() => {})"]]) {
    await host.loadPlugin(modulePlugin(String(name), `module.exports = {go() { ${body} }}`));
    await assert.rejects(host.executePluginCommand(String(name), "go"), PlugwardError);
    await until(() => host.runtime.pluginHealth(String(name))?.state === "FAILED");
  }
});

test("a logger that throws or is missing harms nobody", async () => {
  const angry = (): never => {
    throw new Error("disk full");
  };
  for (const logger of [undefined, {}, { info: angry, warn: angry, error: angry, debug: angry }]) {
    const host = new PluginHost(logger);
    hosts.push(host);
    assert.equal(await host.loadPlugin("/nonexistent.js"), false);
    assert.ok(await host.loadPlugin(bare("p", "class Plugin { x() { return 1 } }")));
  }
});
