/** Plugins in processes of their own: real processes, real signals. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Runtime } from "#src/index";
import { folder, modulePlugin, until } from "./fixtures";

const skip = process.platform === "linux" ? false : "worker processes are for Linux";
const runtimes: Runtime[] = [];
after(() => Promise.all(runtimes.map((rt) => rt.close())));

const CODE = `
  const fs = require('node:fs');
  module.exports = class {
    add({ a, b }) { return a + b; }
    async later({ ms }) { await new Promise((r) => setTimeout(r, ms)); return ms; }
    pid() { return process.pid; }
    throws() { throw new RangeError('too far'); }
    abort() { process.abort(); }
    exit({ status }) { process.exit(status); }
    segfault() { process.kill(process.pid, 'SIGSEGV'); for (;;); }
    spin() { for (;;); }
    never() { return new Promise(() => {}); }
    reject() { Promise.reject(new Error('nobody listens')); return new Promise(() => {}); }
    hog() { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); }
    circle() { const a = {}; a.a = a; return a; }
    write({ path }) { fs.writeFileSync(path, 'x'); return true; }
    async writeLater({ path }) { await fs.promises.writeFile(path, 'x'); return true; }
    scratch() { fs.writeFileSync(process.env.TMPDIR + '/mine', 'x'); return process.env.TMPDIR; }
    connect() { return new Promise((yes, no) => require('node:net').connect(9, '127.0.0.1').on('connect', yes).on('error', no)); }
    start() { return require('node:child_process').execFileSync('/bin/true') && true; }
    secret() { return process.env.SECRET_OF_THE_HOST ?? null; }
    remove({ path }) { fs.unlinkSync(path); return true; }
    move({ path, to }) { fs.renameSync(path, to); return true; }
    resolve() { return new Promise((yes, no) => require('node:dns').lookup('example.com', (e) => (e ? no(e) : yes(true)))); }
    fetch() { return fetch('http://example.com').then(() => true); }
    host({ pid }) { process.kill(pid, 0); return true; }
  };
`;

async function hosted(name: string, more: object = {}): Promise<Runtime> {
  const rt = new Runtime({ loadTimeoutMs: 60_000 });
  runtimes.push(rt);
  const [report] = await rt.load(modulePlugin(name, CODE, { isolation: "process", restart: { policy: "never" }, ...more }));
  assert.equal(report?.error, null);
  assert.equal(report?.state, "INITIALIZED");
  return rt;
}

test("a plugin in a process of its own answers, also asynchronously and many at once", { skip }, async () => {
  const rt = await hosted("fine", { limits: { concurrency: 4, deadline_ms: 20_000 } });
  const sum = await rt.call<number>("fine", "add", { a: 2, b: 3 });
  assert.ok(sum.ok, JSON.stringify(sum));
  assert.equal(sum.result, 5);
  const pid = await rt.call<number>("fine", "pid");
  assert.ok(pid.ok);
  assert.notEqual(pid.result, process.pid);
  assert.equal(rt.pluginHealth("fine")?.pid, pid.result);
  assert.equal(rt.pluginHealth("fine")?.isolation, "process");
  const many = await Promise.all(Array.from({ length: 20 }, () => rt.call("fine", "later", { ms: 5 })));
  assert.deepEqual(new Set(many.map((o) => o.ok && o.result)), new Set([5]));
  const sync = rt.callSync("fine", "add", { a: 1, b: 1 });
  assert.match(sync.ok ? "" : sync.error, /use call\(\)/);
  assert.equal(rt.pluginHealth("fine")?.state, "INITIALIZED");
  const unknown = await rt.call("fine", "nothing");
  assert.equal(!unknown.ok && unknown.code, "PW-REG-002");
});

test("calls that wait for a worker process hold no thread each", { skip }, async () => {
  const rt = await hosted("crowd", { limits: { concurrency: 4, queue: 400, deadline_ms: 20_000 } });
  const threads = (): number => readdirSync("/proc/self/task").length;
  const before = threads();
  const calls = Array.from({ length: 300 }, () => rt.call("crowd", "later", { ms: 5 }));
  await rt.call("crowd", "add", { a: 1, b: 1 });
  assert.ok(threads() < before + 40, `${threads()} threads, ${before} before`);
  assert.ok((await Promise.all(calls)).every((outcome) => outcome.ok && outcome.result === 5));
});

for (const [tool, code, words] of [
  ["throws", "PW-CALL-001", /too far/],
  ["circle", "PW-CALL-015", /circular/],
] as const) {
  test(`${tool}: the process lives on and the error is the plugin's own`, { skip }, async () => {
    const rt = await hosted(`lives_${tool}`, { fails_on: "crash" });
    const before = rt.pluginHealth(`lives_${tool}`)?.pid;
    const outcome = await rt.call(`lives_${tool}`, tool);
    assert.ok(!outcome.ok);
    assert.match(outcome.error, words);
    assert.equal(outcome.code, code, JSON.stringify(outcome));
    const again = await rt.call<number>(`lives_${tool}`, "pid");
    assert.equal(again.ok && again.result, before);
  });
}

for (const [tool, args, code, words] of [
  ["abort", {}, "PW-WORKER-004", /SIGABRT/],
  ["segfault", {}, "PW-WORKER-004", /SIGSEGV/],
  ["exit", { status: 7 }, "PW-WORKER-005", /status 7/],
  ["reject", {}, "PW-WORKER-005", /status 1/],
] as const) {
  test(`${tool}: the host gets the plugin's death as an answer`, { skip }, async () => {
    const rt = await hosted(`dies_${tool}`);
    const outcome = await rt.call(`dies_${tool}`, tool, args);
    assert.ok(!outcome.ok);
    assert.match(outcome.error, words);
    assert.equal(outcome.code, code, JSON.stringify(outcome));
    if (tool === "reject") assert.match(JSON.stringify(outcome.details), /nobody listens/);
    assert.equal(rt.pluginHealth(`dies_${tool}`)?.state, "FAILED");
    const { error } = await rt.restart(`dies_${tool}`);
    assert.equal(error, null);
    assert.ok((await rt.call(`dies_${tool}`, "add", { a: 1, b: 1 })).ok);
  });
}

test("a loop and a promise that never settles end at the deadline, with their process", { skip }, async () => {
  for (const tool of ["spin", "never"]) {
    const rt = await hosted(`late_${tool}`);
    const pid = rt.pluginHealth(`late_${tool}`)?.pid as number;
    const outcome = await rt.call(`late_${tool}`, tool, {}, { deadlineMs: 1000 });
    assert.equal(!outcome.ok && outcome.error_type, "DeadlineExceeded", JSON.stringify(outcome));
    await until(() => !existsSync(`/proc/${pid}`));
  }
});

test("a memory bomb ends its process at the manifest's limit", { skip }, async () => {
  const rt = await hosted("hog", { limits: { memory_mb: 400, deadline_ms: 60_000 } });
  const outcome = await rt.call("hog", "hog");
  assert.ok(!outcome.ok);
  assert.equal(outcome.code, "PW-CALL-014", JSON.stringify(outcome));
});

test("what the manifest does not grant is refused, and works where it is granted", { skip }, async () => {
  process.env.SECRET_OF_THE_HOST = "tell nobody";
  const place = mkdtempSync(join(tmpdir(), "plugward-test-"));
  const file = join(place, "outside");
  const denied = await hosted("denied", { fails_on: "crash" });
  for (const [tool, args] of [
    ["write", { path: file }],
    ["writeLater", { path: file }],
    ["connect", {}],
    ["start", {}],
    ["host", { pid: process.pid }],
  ] as const) {
    const outcome = await denied.call("denied", tool, args);
    assert.ok(!outcome.ok, `${tool} was not refused`);
    assert.match(`${outcome.error} ${outcome.cause}`, /EACCES|EPERM/, JSON.stringify(outcome));
  }
  assert.equal(existsSync(file), false);
  const secret = await denied.call("denied", "secret");
  assert.equal(secret.ok && secret.result, null);
  const scratch = await denied.call<string>("denied", "scratch");
  assert.ok(scratch.ok, JSON.stringify(scratch));

  const permissions = { write: [place], network: true, subprocess: true };
  const granted = await hosted("granted", { fails_on: "crash", permissions, env: ["SECRET_OF_THE_HOST"] });
  assert.ok((await granted.call("granted", "writeLater", { path: file })).ok);
  assert.equal(readFileSync(file, "utf8"), "x");
  const refused = await granted.call("granted", "connect");
  assert.match(refused.ok ? "" : refused.error, /ECONNREFUSED/);
  assert.ok((await granted.call("granted", "start")).ok);
  const told = await granted.call("granted", "secret");
  assert.equal(told.ok && told.result, "tell nobody");
});

test("a refusal names the lines that allow it", { skip }, async () => {
  const [one, two] = [mkdtempSync(join(tmpdir(), "plugward-test-")), mkdtempSync(join(tmpdir(), "plugward-test-"))];
  const file = join(one, "file");
  const denied = await hosted("named", { fails_on: "crash" });
  const add = (path: string): string => `add "${path}" to permissions.write`;
  for (const [tool, args, code, ...lines] of [
    ["write", { path: file }, "PW-PERM-002", add(file)],
    ["writeLater", { path: join(one, "new") }, "PW-PERM-002", add(one)],
    ["remove", { path: file }, "PW-PERM-002", add(one)],
    ["move", { path: file, to: join(two, "file") }, "PW-PERM-002", add(one), add(two)],
    ["connect", {}, "PW-PERM-003", "set permissions.network = true"],
    ["resolve", {}, "PW-PERM-003", "set permissions.network = true"],
    ["fetch", {}, "PW-PERM-003", "set permissions.network = true"],
  ] as const) {
    writeFileSync(file, "x");
    const outcome = await denied.call("named", tool, args);
    assert.ok(!outcome.ok, tool);
    assert.equal(outcome.code, code, JSON.stringify(outcome));
    for (const line of lines) assert.ok(outcome.remedy?.includes(line), JSON.stringify(outcome));
  }
  const granted = await hosted("obeyed", { fails_on: "crash", permissions: { write: [one, two] } });
  assert.ok((await granted.call("obeyed", "move", { path: file, to: join(two, "file") })).ok);
});

test("a script and a plugin that takes any command run in processes as well", { skip }, async () => {
  const rt = new Runtime();
  runtimes.push(rt);
  const manifest = { kind: "node", isolation: "process", entrypoint: "plugin.js" };
  const script = folder({ "manifest.json": { ...manifest, name: "script" }, "plugin.js": "class Plugin { hello({ who }) { return 'hello ' + who + ' ' + typeof process; } }" });
  const open = folder({ "manifest.json": { ...manifest, name: "open" }, "plugin.js": "module.exports = class { async onCommand(cmd, payload) { return [cmd, payload]; } }" });
  for (const place of [script, open]) assert.equal((await rt.load(place))[0]?.error, null);
  const hello = await rt.call("script", "hello", { who: "you" });
  assert.equal(hello.ok && hello.result, "hello you undefined");
  const any = await rt.call("open", "whatever", { n: 1 });
  assert.deepEqual(any.ok && any.result, ["whatever", { n: 1 }]);
  assert.equal(any.tool, "whatever");
});

test("a plugin says goodbye when it is unloaded", { skip }, async () => {
  const rt = new Runtime();
  runtimes.push(rt);
  const place = mkdtempSync(join(tmpdir(), "plugward-test-"));
  const code = `module.exports = class { hi() { return 1; } async onShutdown() { await null; require('node:fs').writeFileSync(${JSON.stringify(join(place, "bye"))}, 'x'); } }`;
  const [report] = await rt.load(modulePlugin("polite", code, { isolation: "process", permissions: { write: [place] } }));
  assert.equal(report?.error, null);
  const pid = rt.pluginHealth("polite")?.pid as number;
  rt.unload("polite");
  await until(() => existsSync(join(place, "bye")));
  await until(() => !existsSync(`/proc/${pid}`));
});

test("a plugin that cannot be loaded says so, and leaves no process", { skip }, async () => {
  const rt = new Runtime();
  runtimes.push(rt);
  const [report] = await rt.load(modulePlugin("broken", "throw new TypeError('no')", { isolation: "process" }));
  assert.equal(report?.state, "FAILED");
  assert.match(JSON.stringify(report?.error), /TypeError|no/);
  assert.equal(report?.error?.code, "PW-LOAD-003", JSON.stringify(report?.error));
});

test("kill -9 of the host leaves no worker behind", { skip }, async () => {
  const place = modulePlugin("orphan", CODE, { isolation: "process" });
  const code = `
    const { Runtime } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    const rt = new Runtime();
    rt.load(${JSON.stringify(place)}).then(async () => {
      console.log(rt.pluginHealth('orphan').pid);
      rt.call('orphan', 'spin', {}, { deadlineMs: 60000 });
    });
  `;
  const host = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const pid = await new Promise<number>((resolve) => host.stdout.once("data", (text) => resolve(Number(text))));
  assert.ok(existsSync(`/proc/${pid}`));
  host.kill("SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`));
});

test("what a plugin started ends with its worker, also where the host dies while the worker ends", { skip }, async () => {
  const code = `module.exports = class { go() { return [1, 2, 3].map(() => require("node:child_process").spawn("sleep", ["600"]).pid); } }`;
  const place = modulePlugin("parent", code, { isolation: "process", permissions: { subprocess: true } });
  const source = `
    const { Runtime } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    const rt = new Runtime();
    rt.load(${JSON.stringify(place)}).then(async () => {
      require("node:fs").writeSync(1, JSON.stringify((await rt.call("parent", "go")).result));
      rt.unload("parent");
      process.kill(process.pid, "SIGKILL");
    });
  `;
  const { stdout } = spawnSync(process.execPath, ["-e", source], { encoding: "utf8", timeout: 60_000 });
  const pids = JSON.parse(stdout) as number[];
  assert.equal(pids.length, 3);
  await until(() => !pids.some((pid) => existsSync(`/proc/${pid}`)));
});
