/**
 * The drop-in plugin host: loads scripts and modules, runs their commands in workers.
 *
 * A thin view of one {@link Runtime}: what it knows of its plugins it asks the core. Unlike the
 * runtime it speaks in exceptions, as the hosts that it is made for expect.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import type { LogRecord } from "./door";
import type { EventBus } from "./event_bus";
import { type Failure } from "./outcome";
import { PlugwardError } from "./plugward_error";
import { type CallOptions, type LoadReport, type ManifestObject, type ManifestOptions, Runtime } from "./runtime";

/** Where a {@link PluginHost} writes its lines; any of the methods may be missing. */
export interface Logger {
  debug?(message: string, ...more: unknown[]): unknown;
  info?(message: string, ...more: unknown[]): unknown;
  warn?(message: string, ...more: unknown[]): unknown;
  error?(message: string, ...more: unknown[]): unknown;
}

/** Options of {@link PluginHost}. */
export interface PluginHostOptions {
  /** The runtime to load into; by default one of its own, which `dispose` closes. */
  readonly runtime?: Runtime;
  /** Deadline of commands whose plugin names none, in milliseconds; default 60000. */
  readonly deadlineMs?: number;
  /** Deadline of {@link PluginHost.execute}, in milliseconds; default 3000. */
  readonly executeDeadlineMs?: number;
  /** Heap of an {@link PluginHost.execute} snippet, in megabytes; default 64. */
  readonly executeMemoryMb?: number;
  /** Handed to every plugin as the third argument of `init`. */
  readonly config?: unknown;
}

const MANIFESTS = ["manifest.json", "manifest.toml", "plugward.json", "plugward.toml"];
const SCRIPTS = [".js", ".cjs", ".mjs"];

/** Loads plugins and runs their commands; none of them can end or block the host. */
export class PluginHost {
  /** The runtime that the plugins live in. */
  readonly runtime: Runtime;
  readonly #logger: Logger;
  readonly #options: PluginHostOptions;
  readonly #reports = new Map<string, LoadReport>();

  constructor(logger?: Logger, options: PluginHostOptions = {}) {
    this.#logger = logger ?? {};
    this.#options = options;
    this.runtime = options.runtime ?? new Runtime({ onLog: (record) => this.#log(record) });
  }

  /** Loads a manifest, a plugin's folder, or a bare script. Answers whether it takes commands now; never throws. */
  async loadPlugin(path: string): Promise<boolean> {
    try {
      const report = await this.#load(resolve(path));
      this.#reports.delete(path);
      this.#reports.set(path, report);
      if (report.error) this.#say("error", `plugin "${report.name}" was not loaded: ${report.error.message} (${report.error.remedy}) [${report.error.code}]`);
      for (const { key, message } of report.assumptions) this.#say("info", `plugin "${report.name}": ${key}: ${message}`);
      return report.error === null;
    } catch (error) {
      this.#say("error", `"${path}" was not loaded: ${error instanceof Error ? error.message : "unknown error"}`);
      return false;
    }
  }

  /** What the latest {@link loadPlugin} of a path led to: state, error, findings, assumptions. */
  loadReport(path: string): LoadReport | undefined {
    return this.#reports.get(path);
  }

  /** Lets a plugin say goodbye (at most half a second), ends it and forgets it; answers whether it was there. Never throws. */
  async unloadPlugin(name: string): Promise<boolean> {
    try {
      const there = this.runtime.pluginHealth(name);
      // A process says goodbye where only the core can wait for it; calls under way are not waited for. Where it cannot be stopped, it is
      // unloaded all the same.
      if (there?.isolation === "process" && there.in_flight === 0 && there.pid !== null) await this.runtime.stop(name).catch(() => undefined);
      this.runtime.unload(name);
      await this.runtime.left(name);
      return true;
    } catch (error) {
      this.#say("warn", `plugin "${name}" was not unloaded: ${error instanceof Error ? error.message : "unknown error"}`);
      return false;
    }
  }

  /** Begins a plugin's next generation, after a fault for instance. */
  async restartPlugin(name: string): Promise<boolean> {
    return (await this.runtime.restart(name)).error === null;
  }

  /** Runs a command; rejects with a {@link PlugwardError} whatever goes wrong. */
  async executePluginCommand(name: string, command: string, payload?: unknown, options: CallOptions = {}): Promise<unknown> {
    const outcome = await this.runtime.command(name, command, payload, options);
    if (outcome.ok) return outcome.result;
    throw PlugwardError.of(inHostWords(outcome, name, command));
  }

  /** The plugins that take commands now, sorted by name. */
  getLoadedPlugins(): string[] {
    return this.runtime
      .health()
      .filter((plugin) => plugin.state === "INITIALIZED" || plugin.state === "RUNNING")
      .map((plugin) => plugin.name);
  }

  /** Events between the host and its plugins. */
  getEventBus(): EventBus {
    return this.runtime.events;
  }

  /**
   * Runs a snippet that sees neither `require` nor `process`, no file system and no network, in a worker of its own.
   * Answers its exports, its completion value if that is an object, its new globals, or `{result}`. The worker is ended when
   * `signal` is aborted.
   */
  async execute(code: string, options: CallOptions = {}): Promise<Record<string, unknown>> {
    const { executeDeadlineMs = 3000, executeMemoryMb = 64 } = this.#options;
    const outcome = await this.runtime.runScript(String(code), options.deadlineMs ?? executeDeadlineMs, executeMemoryMb, options.signal);
    if (!outcome.ok) throw PlugwardError.of(outcome);
    return outcome.result as Record<string, unknown>;
  }

  /** Lets every plugin say goodbye, ends all workers and forgets all listeners. */
  async dispose(): Promise<void> {
    if (this.#options.runtime) for (const name of this.#latestFirst()) await this.unloadPlugin(name);
    else await this.runtime.close();
    this.runtime.events.clear();
  }

  /** The loaded plugins, such that what depends on another comes before it: it was loaded after it. */
  #latestFirst(): string[] {
    const order = [...this.#reports.values()].map((report) => report.name);
    return this.getLoadedPlugins().sort((a, b) => order.lastIndexOf(b) - order.lastIndexOf(a));
  }

  async #load(path: string): Promise<LoadReport> {
    const place = SCRIPTS.includes(extname(path)) ? (manifestOf(path) ?? path) : path;
    if (SCRIPTS.includes(extname(place))) return this.#loadBare(place);
    const { manifest, assumptions, dir } = this.runtime.parse(place);
    const assumed = assumptions.map(({ key, message }): [string, string] => [key, message]);
    if (!saysFailsOn(place, manifest)) {
      assumed.push(["fails_on", "\"crash\": an exception is reported to its caller and does not end the plugin"]);
    }
    return this.#begin({ ...manifest, fails_on: saysFailsOn(place, manifest) ? manifest["fails_on"] : "crash" }, { ...(dir === null ? {} : { dir }), assumptions: assumed });
  }

  async #loadBare(file: string): Promise<LoadReport> {
    const name = basename(dirname(file));
    if (!existsSync(file)) return this.runtime.loadBroken(name, "PW-LOAD-007", `${file} is not there`);
    const manifest = { name, kind: "node", entrypoint: basename(file), fails_on: "crash" };
    const assumptions: [string, string][] = [
      ["name", `"${name}", the folder's name: the script has no manifest`],
      ["isolation", "a script without a manifest runs in the sandbox"],
      ["fails_on", "\"crash\": an exception is reported to its caller and does not end the plugin"],
    ];
    return this.#begin(manifest, { dir: dirname(file), bare: true, assumptions });
  }

  /** A name that is taken by a plugin which never came up is free again. */
  async #begin(manifest: ManifestObject, options: ManifestOptions): Promise<LoadReport> {
    const there = this.runtime.pluginHealth(manifest.name);
    if (there?.state === "FAILED" || there?.state === "UNAVAILABLE") this.runtime.unload(manifest.name);
    const { config, deadlineMs } = this.#options;
    const limits = { deadline_ms: deadlineMs, ...present(manifest["limits"]) };
    return this.runtime.loadManifest({ ...manifest, limits }, { ...options, ...(config === undefined ? {} : { config }) });
  }

  #log(record: LogRecord): void {
    this.#say(record.level, record.plugin === null ? record.message : `[${record.plugin}] ${record.message}`);
  }

  #say(level: "debug" | "info" | "warn" | "error", text: string): void {
    try {
      const answer: unknown = this.#logger[level]?.(text);
      if (answer instanceof Promise) answer.catch(() => undefined);
    } catch {
      // A logger that raises must not make a load or a call fail.
    }
  }
}

/** An object's members that are not null. */
function present(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries((value ?? {}) as Record<string, unknown>).filter(([, item]) => item !== null));
}

/** The manifest beside a script, if it speaks of that script. */
function manifestOf(script: string): string | undefined {
  const dir = dirname(script);
  return MANIFESTS.map((name) => join(dir, name)).find((path) => existsSync(path) && readFileSync(path, "utf8").includes(basename(script)));
}

function saysFailsOn(path: string, manifest: ManifestObject): boolean {
  try {
    const file = statSync(path).isDirectory() ? MANIFESTS.map((name) => join(path, name)).find((one) => existsSync(one)) : path;
    if (file === undefined) return manifest["fails_on"] !== "exception";
    return /["']?fails_?on["']?\s*[:=]/iu.test(readFileSync(file, "utf8"));
  } catch {
    return false;
  }
}

/** The words that the hosts of this class look for. */
function inHostWords(outcome: Failure, name: string, command: string): Failure {
  if (outcome.code === "PW-REG-002") return { ...outcome, error: `Command not found: ${command}` };
  if (outcome.code === "PW-REG-001") return { ...outcome, error: `Plugin not found: ${name}` };
  return outcome;
}
