/**
 * Known ways out of `node:vm`. Each snippet returns what it got hold of: anything but the words of a
 * refusal is an escape. `probe` tells from inside whether an object belongs to another realm.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PluginWorker } from "#src/worker/plugin_worker";
import { fault, type Reply } from "#src/worker/fault";
import { refusal } from "#src/sandbox/source";

const PROBE = `
  const shown = [];
  const note = (name, get) => { try { const v = get(); shown.push(name + ':' + (v === undefined ? 'undefined' : foreign(v) ? 'FOREIGN' : typeof v)) } catch (e) { shown.push(name + ':' + (foreign(e) ? 'FOREIGN' : e.name)) } };
  const foreign = (v) => (typeof v === 'object' || typeof v === 'function') && v !== null && !(v instanceof Object) && Object.getPrototypeOf(v) !== null;
`;

async function run(code: string): Promise<Reply> {
  const worker = PluginWorker.start("sandbox", { memoryMb: 64 });
  const alarm = setTimeout(() => void worker.stop(fault.deadline(60_000)), 60_000);
  const reply = await worker.runScript(code, "escape.js");
  clearTimeout(alarm);
  await worker.stop();
  return reply;
}

/** Runs `body`, whose notes must all be refusals of this realm. */
async function held(body: string): Promise<string[]> {
  const reply = await run(`${PROBE}; ${body}; return {shown}`);
  assert.ok(reply.ok, JSON.stringify(reply));
  const { shown } = reply.value as { shown: string[] };
  assert.ok(shown.length > 0);
  for (const line of shown) assert.match(line, /:(undefined|EvalError|TypeError|ReferenceError|RangeError|SyntaxError|inside)$/, line);
  return shown;
}

test("function constructors compile nothing", async () => {
  await held(`
    note('this', () => globalThis.constructor.constructor('return process')());
    note('Function', () => Function('return process')());
    note('new', () => new Function('return process')());
    note('eval', () => eval('process'));
    note('indirect', () => (0, eval)('globalThis.process'));
    note('async', () => (async function () {}).constructor('return process')());
    note('generator', () => (function* () {}).constructor('yield process')());
    note('asyncgen', () => (async function* () {}).constructor('yield process')());
    note('bound', () => Reflect.construct(Function, ['return process'], class {})());
    note('array', () => [].constructor.constructor('return process')());
    note('timer', () => setTimeout.constructor('return process')());
    note('console', () => console.log.constructor('return process')());
    note('module', () => module.constructor.constructor('return process')());
    note('kernel', () => __plugward.turn.constructor('return process')());
  `);
});

test("the global object and every value on it belong to this realm", async () => {
  const reply = await run(`
    const seen = new Set(), bad = [];
    const visit = (v, path) => {
      if ((typeof v !== 'object' && typeof v !== 'function') || v === null || seen.has(v) || path.length > 120) return;
      seen.add(v);
      const proto = Object.getPrototypeOf(v);
      if (typeof v === 'function' && !(v instanceof Function) && v !== Function.prototype) bad.push(path);
      if (typeof v === 'object' && proto !== null && !(v instanceof Object) && v !== globalThis && v !== Object.getPrototypeOf(globalThis)) bad.push(path);
      visit(proto, path + '.__proto__');
      for (const key of Reflect.ownKeys(v)) {
        const d = Object.getOwnPropertyDescriptor(v, key);
        for (const part of ['value', 'get', 'set']) visit(d[part], path + '.' + String(key));
      }
    };
    visit(globalThis, 'globalThis');
    visit(__plugward, '__plugward');
    return {bad, count: seen.size, proto: globalThis instanceof Object};
  `);
  assert.ok(reply.ok, JSON.stringify(reply));
  const { bad, count } = reply.value as { bad: string[]; count: number };
  assert.deepEqual(bad, []);
  assert.ok(count > 500, `only ${count} objects were visited`);
});

test("call sites and captured stacks show nothing", async () => {
  await held(`
    note('assign', () => { Error.prepareStackTrace = (e, sites) => sites; const s = new Error().stack; if (typeof s !== 'string') return s });
    note('define', () => Object.defineProperty(Error, 'prepareStackTrace', {value: (e, s) => s}));
    note('global', () => { 'use strict'; globalThis.Error = {prepareStackTrace: (e, s) => s} });
    note('redefine', () => Object.defineProperty(globalThis, 'Error', {value: {prepareStackTrace: (e, s) => s}}));
    note('subclass', () => { class E extends Error { static prepareStackTrace(e, s) { return s } } const s = new E().stack; if (typeof s !== 'string') return s });
    note('capture', () => Error.captureStackTrace({}));
    note('native', () => { TypeError.prepareStackTrace = (e, s) => s; try { null.x } catch (e) { if (typeof e.stack !== 'string') return e.stack } });
    note('caller', () => { const c = (function f() { return f.caller })(); if (foreign(c)) return c });
    note('arguments', () => { const f = function () { return f.arguments.callee.caller }; const c = f(); if (foreign(c)) return c });
  `);
});

test("an async stack and a stack overflow give no foreign error", async () => {
  await held(`
    let overflow; const deep = () => { try { deep() } catch (e) { overflow = e; throw e } };
    note('deep', () => deep());
    note('overflow', () => overflow.constructor.constructor('return process')());
    const dive = (f) => { try { dive(f) } catch { f() } };
    for (const f of [() => setTimeout(() => {}, 1), () => console.log('x'), () => __plugward.flush(), () => queueMicrotask(() => {})]) {
      let got; try { dive(f) } catch (e) { got = e }
      note('edge', () => got && got.constructor.constructor('return process')());
    }
    const late = await (async () => { await 0; try { null.f() } catch (e) { return e } })();
    note('late', () => late.constructor.constructor('return process')());
    const timed = await new Promise((done) => setTimeout(function () { done([this, arguments.callee.caller]) }, 1)).catch((e) => [e]);
    note('timer this', () => timed[0] === undefined || timed[0] === globalThis || timed[0] instanceof TypeError ? undefined : timed[0]);
    note('timer caller', () => timed[1] ?? undefined);
  `);
});

test("WebAssembly and shared memory are not there, by any name", async () => {
  await held(`
    note('WebAssembly', () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));
    note('global', () => globalThis.WebAssembly);
    note('shared', () => new SharedArrayBuffer(8));
    note('wait', () => Atomics.wait);
    note('registry', () => new FinalizationRegistry(() => {}));
  `);
});

test("proxies, thenables and traps that are handed to the host see none of its objects", async () => {
  const trap = `
    const got = [];
    const spy = new Proxy(function () {}, {
      get(t, k, r) { got.push('get ' + String(k)); return undefined },
      apply(t, self, args) { got.push(args instanceof Array ? 'inside' : 'FOREIGN'); return 'x' },
      construct(t, args) { got.push(args instanceof Array ? 'inside' : 'FOREIGN'); return {} },
      getOwnPropertyDescriptor(t, k) { return Reflect.getOwnPropertyDescriptor(t, k) },
    });
    globalThis.got = got; globalThis.spy = spy;
  `;
  const worker = PluginWorker.start("sandbox", { memoryMb: 64 });
  assert.ok((await worker.runScript(`${trap}; undefined`, "trap.js")).ok);
  await worker.runScript("spy", "1.js");
  void worker.runScript("({then: spy})", "2.js"); // its `then` never calls back
  await worker.runScript("throw spy", "3.js");
  await worker.runScript("throw {message: spy, stack: spy, constructor: spy, name: spy, toString: spy}", "4.js");
  await worker.runScript("({then(resolve, reject) { got.push(resolve instanceof Function ? 'inside' : 'FOREIGN'); resolve(1) }})", "5.js");
  await worker.runScript("({toJSON() { got.push(arguments instanceof Object ? 'inside' : 'FOREIGN'); return 1 }})", "6.js");
  const reply = await worker.runScript("({got})", "7.js");
  await worker.stop();
  assert.ok(reply.ok, JSON.stringify(reply));
  const { got } = reply.value as { got: string[] };
  assert.ok(got.includes("inside"), got.join());
  assert.ok(!got.includes("FOREIGN"), got.join());
});

test("setters on globals and polluted prototypes are never met by the worker's realm", async () => {
  const worker = PluginWorker.start("sandbox", { memoryMb: 64 });
  const spoil = `
    globalThis.met = [];
    const realm = (v) => v === undefined || v === null || typeof v !== 'object' && typeof v !== 'function' || v instanceof Object || v === globalThis;
    for (const key of ['op', 'id', 'then', 'toString', 'filename', 'importModuleDynamically', 'timeout', 'source', 'cachedData', 'displayErrors', 'callback']) {
      if (key === 'toString') continue;
      Object.defineProperty(Object.prototype, key, {get() { if (!realm(this)) met.push(key) }, set(v) { if (!realm(this)) met.push(key); Object.defineProperty(this, key, {value: v, writable: true, enumerable: true, configurable: true}) }, configurable: true});
    }
    Object.defineProperty(globalThis, '__in', {set(v) { met.push('in') }});
    1`;
  await worker.runScript(spoil, "spoil.js");
  const reply = await worker.runScript("({met})", "read.js");
  await worker.stop();
  assert.ok(reply.ok, JSON.stringify(reply));
  assert.deepEqual(reply.value, { met: [] });
});

test("__proto__ in a result pollutes nothing of the host", async () => {
  const reply = await run(`return {rows: [{["__proto__"]: {polluted: 1}, a: 1}], ["__proto__"]: {polluted: 2}}`);
  assert.ok(reply.ok, JSON.stringify(reply));
  const merged = Object.assign({}, reply.value, (reply.value as { rows: object[] }).rows[0]) as Record<string, unknown>;
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.equal(merged["polluted"], undefined);
  const forged = await run(`return {toJSON() { return JSON.parse('{"\\\\u005f_proto__": {"polluted": 3}}') }}`);
  assert.ok(forged.ok);
  assert.equal((Object.assign({}, forged.value) as Record<string, unknown>)["polluted"], undefined);
});

test("import() is refused in every spelling, and words that only look like it are not", () => {
  for (const source of ["import('fs')", "import  (x)", "import/**/('x')", "import//\n('x')", "import<!--\n('x')", "import.meta", "x=import('a')", "...import('a')", "await\nimport\n(\n'a')", "import/* ( */(1)"]) {
    assert.ok(refusal(source), source);
  }
  for (const source of ["const important = (1)", "reimport('x')", "$import(1)", "_import(1)", "'we import notes'", "x.imports(1)"]) {
    assert.equal(refusal(source), undefined, source);
  }
});

test("the worker's own realm has nothing left for one who gets in", async () => {
  // The error of a refused import is of the worker's realm: the one foreign object that can be had
  // where the lexical check is circumvented. `harden` is measured against it directly.
  const { Worker } = await import("node:worker_threads");
  const { join } = await import("node:path");
  const source = `
    const vm = require("node:vm"); const { parentPort } = require("node:worker_threads");
    const { harden } = require(${JSON.stringify(join(__dirname, "../src/sandbox/harden.js"))});
    const post = parentPort.postMessage.bind(parentPort);
    const context = vm.createContext(Object.create(null), { codeGeneration: { strings: false, wasm: false } });
    parentPort.on("message", () => {
      new vm.Script(\`globalThis.out = []; import("fs").catch((e) => {
        const note = (n, f) => { try { const v = f(); out.push(n + ":" + typeof v) } catch (x) { out.push(n + ":" + x.name) } };
        out.push("foreign:" + !(e instanceof Error));
        note("constructor", () => e.constructor.constructor);
        note("compile", () => e.constructor.constructor("return process")());
        note("proto", () => e.constructor.__proto__.__proto__.constructor);
        const O = Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(e)))).constructor;
        note("pollute", () => { "use strict"; O.prototype.polluted = 1 });
        note("define", () => O.defineProperty(O.prototype, "polluted", {value: 1}));
        note("prepare", () => { "use strict"; Object.getPrototypeOf(e.constructor).prepareStackTrace = () => 1 });
      })\`).runInContext(context, { displayErrors: false });
      setImmediate(() => post(new vm.Script("out.join()").runInContext(context)));
    });
    const { setImmediate } = require("node:timers");
    harden();
    post(Object.keys(globalThis).concat(typeof process, typeof fetch, String(({}).polluted)).join());`;
  const worker = new Worker(source, { eval: true });
  const answers: string[] = [];
  await new Promise<void>((resolve, reject) => {
    worker.on("error", reject);
    worker.on("message", (text: string) => {
      answers.push(text);
      if (answers.length === 1) worker.postMessage("go");
      else resolve();
    });
  });
  await worker.terminate();
  assert.equal(answers[0], "undefined,undefined,undefined");
  assert.equal(answers[1], "foreign:true,constructor:undefined,compile:TypeError,proto:undefined,pollute:TypeError,define:TypeError,prepare:TypeError");
});
