import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PluginWorker } from "#src/worker/plugin_worker";
import { fault, type Reply } from "#src/worker/fault";

const workers: PluginWorker[] = [];
after(() => Promise.all(workers.map((worker) => worker.stop())));

/** A fresh sandbox, with a generous heap limit and an alarm for scripts that never end. */
async function run(code: string, ms = 60_000): Promise<Reply> {
  const worker = PluginWorker.start("sandbox", { memoryMb: 64 });
  workers.push(worker);
  const alarm = setTimeout(() => void worker.stop(fault.deadline(ms)), ms);
  const reply = await worker.runScript(code, "snippet.js");
  clearTimeout(alarm);
  void worker.stop();
  return reply;
}

async function value(code: string): Promise<unknown> {
  const reply = await run(code);
  assert.ok(reply.ok, JSON.stringify(reply));
  return reply.value;
}

async function failure(code: string, ms?: number): Promise<{ code: string; message: string }> {
  const reply = await run(code, ms);
  assert.ok(!reply.ok, JSON.stringify(reply));
  return reply.fault;
}

test("a snippet answers its object, its exports, its globals, or a result", async () => {
  assert.deepEqual(await value("({a: [1, 'x', null]})"), { a: [1, "x", null] });
  assert.deepEqual(await value("1 + 1"), { result: 2 });
  assert.deepEqual(await value("[1, 2]"), { result: [1, 2] });
  assert.deepEqual(await value("module.exports = {b: 2}"), { b: 2 });
  assert.deepEqual(await value("exports.c = 3; 99"), { c: 3 });
  assert.deepEqual(await value("var answer = 42; function f() {}"), { answer: 42 });
  assert.deepEqual(await value("return {d: 4}"), { d: 4 });
  assert.deepEqual(await value("const d = await new Promise(r => setTimeout(() => r(5), 5)); return {d}"), { d: 5 });
  assert.deepEqual(await value("Promise.resolve({later: true})"), { later: true });
  assert.deepEqual(await value("// nothing"), {});
});

test("nothing of Node is there", async () => {
  for (const name of ["require", "process", "global", "Buffer", "fetch", "WebAssembly", "SharedArrayBuffer", "Atomics", "__dirname", "XMLHttpRequest", "WebSocket"]) {
    assert.deepEqual(await value(`typeof ${name}`), { result: "undefined" }, name);
  }
  for (const code of ["require('fs')", "process.exit(1)", "fetch('http://127.0.0.1')", "import('fs')", "await import('node:fs')", "import /* x */ ('fs')", "import // y\n ('fs')", "import <!-- z\n ('fs')", "[...import('fs')]"]) {
    await failure(code);
  }
});

test("thrown things of every kind are described, and huge ones are cut", async () => {
  assert.match((await failure("throw new TypeError('bad')")).message, /^bad$/);
  for (const thrown of ["undefined", "null", "1n", "Symbol('s')", "Object.freeze({})", "Object.create(null)", "() => 1"]) {
    assert.equal((await failure(`throw ${thrown}`)).code, "PW-CALL-001", thrown);
  }
  await failure("throw {get message() { throw 1 }, get stack() { throw 2 }, get constructor() { throw 3 }, toString() { throw 4 }}");
  await failure("throw new Proxy(function () {}, new Proxy({}, {get() { throw 1 }}))");
  await failure("Promise.reject({get then() { throw 1 }})");
  const big = await failure("throw new Error('x'.repeat(20_000_000))");
  assert.ok(big.message.length < 70_000 && /cut; 20000000/.test(big.message));
});

test("results that are no JSON are refused, not lost", async () => {
  assert.equal((await failure("const a = {}; a.a = a; return a")).code, "PW-CALL-015");
  assert.equal((await failure("return {b: 10n}")).code, "PW-CALL-015");
  assert.equal((await failure("return {s: 'x'.repeat(20_000_000)}")).code, "PW-CALL-015");
});

test("loops of every kind end at the deadline", async () => {
  for (const code of ["for (;;) {}", "(async () => { for (;;) await 0 })()", "new Promise(() => {})", "/^(a+)+$/.test('a'.repeat(64) + '!')", "const f = () => queueMicrotask(f); f(); new Promise(() => {})", "setInterval(() => {}, 1); new Promise(() => {})", "({toJSON() { for (;;) {} }})", "throw {get message() { for (;;) {} }}"]) {
    assert.equal((await failure(code, 700)).code, "PW-CALL-005", code);
  }
});

test("memory bombs end their worker only", async () => {
  for (const code of ["const a = []; for (;;) a.push(new Array(1e5).fill(1.5))", "let s = 'x'; const a = []; for (;;) { s = 'y' + s; a.push(s + s) }"]) {
    assert.equal((await failure(code, 60_000)).code, "PW-CALL-014", code);
  }
  const tooLong = await failure("'x'.repeat(2 ** 31)");
  assert.equal(tooLong.code, "PW-CALL-001");
  assert.equal((await failure("const f = () => f() + 1; f()")).code, "PW-CALL-001");
});

test("errors that reach nobody are blamed on the script", async () => {
  assert.equal((await failure("setTimeout(() => { throw new Error('late') }, 5); new Promise(() => {})")).message, "late");
  assert.equal((await failure("Promise.reject(new Error('stray')); new Promise(() => {})")).message, "stray");
  assert.equal((await failure("Promise.reject(undefined); new Promise(() => {})")).code, "PW-CALL-001");
});
