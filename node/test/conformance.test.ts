/** Replays `tests/conformance/*.json`; the core, C and Python replay the same files. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type LoadReport, type MarkEvent, PlugwardError, Runtime } from "plugward";
import { folder, until } from "./fixtures";

type Json = Record<string, unknown>;

const STORIES = join(__dirname, "../../../tests/conformance");
const CODE = `
  class InvalidInput extends Error { name = "InvalidInput" }
  const tools = {
    echo: (args) => args,
    text: () => "text",
    raise(args) { const error = new Error(args.message); error.name = args.type; throw error; },
    refuse(args) { throw new InvalidInput(args.message); },
    hang() { const end = Date.now() + 4000; while (Date.now() < end); return "late"; },
    exit(args) { process.exit(args.status); },
  };
  module.exports = { tools };
`;

function codeOf(body: () => unknown): Json {
  try {
    const state = body();
    return { code: null, ...(typeof state === "string" ? { state } : {}) };
  } catch (error) {
    assert.ok(error instanceof PlugwardError, String(error));
    return { code: error.code };
  }
}

async function reportOf(report: Promise<LoadReport | undefined>): Promise<Json> {
  try {
    const done = await report;
    return { state: done?.state, generation: done?.generation, code: done?.error?.code ?? null };
  } catch (error) {
    return codeOf(() => {
      throw error;
    });
  }
}

/** Callables in memory are inline in Node, so every story's plugin is a module; its isolation is what a host plugin's would be. */
async function load(rt: Runtime, manifest: Json): Promise<LoadReport | undefined> {
  const limits = manifest["limits"] as Json | undefined;
  const isolation = manifest["isolation"] ?? (limits?.["deadline_ms"] === undefined ? "inline" : "thread");
  const whole = { version: "0.0.0", ...manifest, kind: "node", entrypoint: "index.js", isolation };
  return (await rt.load(folder({ "manifest.json": whole, "index.js": CODE })))[0];
}

async function take(rt: Runtime, verb: string, what: never): Promise<Json> {
  const step = what as Json;
  const name = String(step["name"]);
  switch (verb) {
    case "load":
      return reportOf(load(rt, step));
    case "call": {
      const deadlineMs = step["deadline_ms"] as number | undefined;
      return { ...(await rt.call(String(step["plugin"]), String(step["tool"]), step["args"], deadlineMs === undefined ? {} : { deadlineMs })) };
    }
    case "restart":
      return reportOf(rt.restart(String(what)));
    case "reload":
      return reportOf(rt.reload(String(what)));
    case "stop":
      return reportOf(rt.stop(String(what)));
    case "unload":
      return codeOf(() => rt.unload(String(what)));
    case "health":
      return { ...(rt.pluginHealth(String(what)) ?? { missing: true }) };
    case "list":
      return { names: rt.health().map((plugin) => plugin.name) };
    case "register":
      return codeOf(() => rt.register(name, String(step["description"]), String(step["version"])));
    case "mark":
      return codeOf(() => rt.mark(name, step["event"] as MarkEvent, (step["reason"] as string | undefined) ?? ""));
    case "record":
      return codeOf(() => rt.record(name, step["ok"] === true, step["elapsed_ms"] as number | undefined));
    case "close":
      await rt.close();
      return {};
    case "wait": {
      const { plugin, ...fields } = step;
      await until(() => Object.entries(fields).every(([key, value]) => (rt.pluginHealth(String(plugin)) as unknown as Json)[key] === value));
      return {};
    }
    default:
      throw new Error(`no step "${verb}"`);
  }
}

function check(where: string, got: Json, expected: Json): void {
  for (const [key, value] of Object.entries(expected)) {
    if (!key.endsWith("_contains")) {
      assert.deepEqual(got[key], value, `${where}: ${key} of ${JSON.stringify(got)}`);
      continue;
    }
    for (const text of [value].flat()) {
      const field = String(got[key.slice(0, -"_contains".length)]);
      assert.ok(field.includes(String(text)), `${where}: "${field}" does not contain "${String(text)}"`);
    }
  }
}

const files = readdirSync(STORIES).filter((file) => file.endsWith(".json"));
assert.ok(files.length >= 14, "the stories are not where they were");
for (const file of files) {
  const story = JSON.parse(readFileSync(join(STORIES, file), "utf8")) as { why: string; steps: Json[] };
  test(`${file}: ${story.why}`, async () => {
    const rt = new Runtime();
    try {
      for (const [at, step] of story.steps.entries()) {
        const { expect, only, ...rest } = step;
        if (Array.isArray(only) && !only.includes("node")) continue;
        const [verb, what] = Object.entries(rest)[0] as [string, never];
        check(`step ${at + 1} (${verb})`, await take(rt, verb, what), (expect ?? {}) as Json);
      }
    } finally {
      await rt.close();
    }
  });
}
